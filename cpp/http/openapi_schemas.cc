#include "http/openapi.h"

namespace despina::http {
namespace {

constexpr std::string_view kSchemas = R"json(
"Error": {
  "type": "object", "required": ["error"],
  "properties": {"error": {"type": "string"}}
},
"Empty": {"type": "object", "maxProperties": 0},
"Parameters": {
  "type": "object",
  "additionalProperties": {"type": ["string", "integer", "number", "boolean"]}
},
"Datatype": {
  "enum": ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
           "FP16", "FP32", "FP64", "BYTES", "BF16"]
},
"Shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
"SharedMemoryPlace": {
  "type": "object",
  "properties": {
    "shared_memory_region": {"type": "string"},
    "shared_memory_offset": {"type": "integer", "minimum": 0},
    "shared_memory_byte_size": {"type": "integer", "minimum": 0}
  }
},
"InferInput": {
  "type": "object", "required": ["name", "datatype", "shape"],
  "properties": {
    "name": {"type": "string"},
    "datatype": {"$ref": "#/components/schemas/Datatype"},
    "shape": {"$ref": "#/components/schemas/Shape"},
    "data": {"type": "array"},
    "parameters": {
      "allOf": [
        {"$ref": "#/components/schemas/SharedMemoryPlace"},
        {"type": "object",
         "properties": {"binary_data_size": {"type": "integer", "minimum": 0}}}
      ]
    }
  }
},
"InferOutputRequest": {
  "type": "object", "required": ["name"],
  "properties": {
    "name": {"type": "string"},
    "parameters": {
      "allOf": [
        {"$ref": "#/components/schemas/SharedMemoryPlace"},
        {"type": "object",
         "properties": {
           "binary_data": {"type": "boolean"},
           "classification": {"type": "integer", "minimum": 0}
         }}
      ]
    }
  }
},
"InferRequest": {
  "type": "object", "required": ["inputs"],
  "properties": {
    "id": {"type": "string"},
    "parameters": {"$ref": "#/components/schemas/Parameters"},
    "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/InferInput"}},
    "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/InferOutputRequest"}}
  }
},
"InferResponse": {
  "type": "object", "required": ["model_name", "model_version", "outputs"],
  "properties": {
    "id": {"type": "string"},
    "model_name": {"type": "string"},
    "model_version": {"type": "string"},
    "parameters": {"$ref": "#/components/schemas/Parameters"},
    "outputs": {
      "type": "array",
      "items": {
        "type": "object", "required": ["name", "datatype", "shape"],
        "properties": {
          "name": {"type": "string"},
          "datatype": {"$ref": "#/components/schemas/Datatype"},
          "shape": {"$ref": "#/components/schemas/Shape"},
          "data": {"type": "array"},
          "parameters": {
            "type": "object",
            "properties": {"binary_data_size": {"type": "integer"}}
          }
        }
      }
    }
  }
},
"GenerateRequest": {
  "type": "object",
  "properties": {
    "id": {"type": "string"},
    "parameters": {"type": "object"}
  }
},
"GenerateResponse": {
  "type": "object", "required": ["model_name", "model_version"],
  "properties": {
    "id": {"type": "string"},
    "model_name": {"type": "string"},
    "model_version": {"type": "string"}
  }
},
"EventStream": {
  "type": "string",
  "description": "Lines that begin with 'data: ', each followed by an empty one."
},
"ServerMetadata": {
  "type": "object", "required": ["name", "version", "extensions"],
  "properties": {
    "name": {"type": "string"},
    "version": {"type": "string"},
    "extensions": {"type": "array", "items": {"type": "string"}}
  }
},
"TensorMetadata": {
  "type": "object", "required": ["name", "datatype", "shape"],
  "properties": {
    "name": {"type": "string"},
    "datatype": {"$ref": "#/components/schemas/Datatype"},
    "shape": {"type": "array", "items": {"type": "integer", "minimum": -1}}
  }
},
"ModelMetadata": {
  "type": "object", "required": ["name", "versions", "platform", "inputs", "outputs"],
  "properties": {
    "name": {"type": "string"},
    "versions": {"type": "array", "items": {"type": "string"}},
    "platform": {"type": "string"},
    "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/TensorMetadata"}},
    "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/TensorMetadata"}}
  }
},
"ModelConfiguration": {"type": "object", "required": ["name"]},
"Statistics": {
  "type": "object", "required": ["model_stats"],
  "properties": {
    "model_stats": {
      "type": "array",
      "items": {
        "type": "object", "required": ["name", "version", "inference_stats"],
        "properties": {
          "name": {"type": "string"},
          "version": {"type": "string"},
          "last_inference": {"type": "integer"},
          "inference_count": {"type": "integer"},
          "execution_count": {"type": "integer"},
          "inference_stats": {"type": "object"},
          "batch_stats": {"type": "array", "items": {"type": "object"}}
        }
      }
    }
  }
},
"IndexRequest": {
  "type": "object",
  "properties": {"ready": {"type": "boolean"}}
},
"Index": {
  "type": "array",
  "items": {
    "type": "object", "required": ["name", "state"],
    "properties": {
      "name": {"type": "string"},
      "version": {"type": "string"},
      "state": {"enum": ["UNKNOWN", "READY", "UNAVAILABLE", "LOADING", "UNLOADING"]},
      "reason": {"type": "string"}
    }
  }
},
"LoadRequest": {
  "type": "object",
  "properties": {
    "parameters": {
      "type": "object",
      "properties": {"config": {"type": "string"}},
      "additionalProperties": {"type": "string"}
    }
  }
},
"UnloadRequest": {
  "type": "object",
  "properties": {
    "parameters": {
      "type": "object",
      "properties": {"unload_dependents": {"type": "boolean"}}
    }
  }
},
"SharedMemoryRequest": {
  "type": "object", "required": ["key", "byte_size"],
  "properties": {
    "key": {"type": "string"},
    "offset": {"type": "integer", "minimum": 0},
    "byte_size": {"type": "integer", "minimum": 0}
  }
},
"SharedMemoryRegions": {
  "type": "array",
  "items": {
    "type": "object", "required": ["name", "key", "offset", "byte_size"],
    "properties": {
      "name": {"type": "string"},
      "key": {"type": "string"},
      "offset": {"type": "integer"},
      "byte_size": {"type": "integer"}
    }
  }
},
"LogSettings": {
  "type": "object",
  "properties": {
    "log_file": {"type": "string"},
    "log_info": {"type": "boolean"},
    "log_warning": {"type": "boolean"},
    "log_error": {"type": "boolean"},
    "log_verbose_level": {"type": "integer", "minimum": 0},
    "log_format": {"enum": ["default", "ISO8601", "json"]}
  }
},
"TraceSettings": {
  "type": "object",
  "properties": {
    "trace_level": {
      "type": ["array", "null"],
      "items": {"enum": ["OFF", "TIMESTAMPS", "TENSORS"]}
    },
    "trace_rate": {"type": ["string", "null"]},
    "trace_count": {"type": ["string", "null"]},
    "log_frequency": {"type": ["string", "null"]},
    "trace_file": {"type": "string"},
    "trace_mode": {"enum": ["triton", "opentelemetry"]},
    "url": {"type": "string"},
    "resource": {"type": "string"}
  }
}
)json";

}  // namespace

std::string_view OpenApiSchemas() { return kSchemas; }

}  // namespace despina::http
