// The functions behind despina/testing/fake_host.hpp, which is what to include.
#pragma once

#include "despina/testing/fake_host.hpp"

namespace despina::testing {
namespace detail {

struct FakeBatch {
  Instance& instance;
  const std::vector<FakeRequest*>& requests;
  uint64_t rows = 0;
  std::map<uint32_t, std::shared_ptr<Lent>> gathered;
};

inline FakeBatch& At(despina_batch* batch) { return *reinterpret_cast<FakeBatch*>(batch); }
inline FakeRequest& At(despina_request* request) {
  return *reinterpret_cast<FakeRequest*>(request);
}
inline const FakeRequest& At(const despina_request* request) {
  return *reinterpret_cast<const FakeRequest*>(request);
}

inline size_t Elements(const std::vector<int64_t>& shape) {
  size_t count = 1;
  for (const int64_t dim : shape) {
    if (dim < 0 || (dim > 0 && count > SIZE_MAX / 64 / static_cast<size_t>(dim))) {
      throw InvalidArgument("no tensor has this shape");
    }
    count *= static_cast<size_t>(dim);
  }
  return count;
}

// Precondition: the lock of the request.
inline void RequireUnanswered(const FakeRequest& request, const char* what) {
  if (request.answered || request.instance == nullptr) {
    throw Refused(DESPINA_FAILED_PRECONDITION,
                  "request '" + request.id + "', after its answer: " + what);
  }
}

inline void CheckOutput(const Instance& instance, uint32_t index, const Array& array,
                        uint64_t rows) {
  const Signature& signature = instance.model.signature;
  if (index >= signature.outputs.size()) {
    throw Refused(DESPINA_INTERNAL, "there is no output " + std::to_string(index));
  }
  const TensorSpec& spec = signature.outputs[index];
  if (array.datatype != spec.datatype)
    throw Refused(DESPINA_INTERNAL, "output '" + spec.name + "': wrong datatype");
  if (signature.max_batch_size <= 0) return;
  if (array.shape.empty() || static_cast<uint64_t>(array.shape[0]) != rows) {
    throw Refused(DESPINA_INTERNAL, "output '" + spec.name + "': wrong number of rows");
  }
}

inline void TakeOne(FakeRequest& request) {
  if (request.outputs_until_starved == 0) {
    throw Error(DESPINA_RESOURCE_EXHAUSTED, "no memory for the answer (part of the test)");
  }
  --request.outputs_until_starved;
}

inline Output Allocated(Datatype datatype, const int64_t* shape, int32_t ndim) {
  if (datatype == BYTES) throw InvalidArgument("BYTES are given, not written in place");
  Output output;
  output.array = {datatype, {shape, shape + ndim}, {}, {}};
  auto memory = std::make_shared<Memory>(Elements(output.array.shape) * ElementSize(datatype));
  output.data = memory->data();
  output.size = memory->size();
  output.owner = std::move(memory);
  return output;
}

// What is offered; it is not taken over yet.
inline Output Offered(const despina_tensor_owned& owned) {
  const despina_tensor& tensor = owned.tensor;
  Output output;
  output.array = {tensor.datatype, {tensor.shape, tensor.shape + tensor.ndim}, {}, {}};
  const size_t count = Elements(output.array.shape);
  if (owned.release == nullptr || count * ElementSize(tensor.datatype) != tensor.byte_size) {
    throw InvalidArgument("the tensor has another size than its shape, or no release");
  }
  output.data = static_cast<const unsigned char*>(tensor.data);
  output.size = static_cast<size_t>(tensor.byte_size);
  if (tensor.datatype == BYTES) {
    const auto* elements = static_cast<const despina_str*>(tensor.data);
    for (size_t i = 0; i < count; ++i) output.array.texts.emplace_back(View(elements[i]));
  }
  return output;
}

// The rows of one request, of those of the batch.
inline Output Rows(const Output& whole, uint64_t begin, uint64_t rows, uint64_t all) {
  Output part = whole;
  part.array.shape[0] = static_cast<int64_t>(rows);
  const size_t stride = all > 0 ? whole.size / all : 0;
  part.data = whole.data + begin * stride;
  part.size = rows * stride;
  if (part.array.datatype != BYTES) return part;
  const size_t texts = all > 0 ? whole.array.texts.size() / all : 0;
  const auto first = whole.array.texts.begin() + static_cast<std::ptrdiff_t>(begin * texts);
  part.array.texts.assign(first, first + static_cast<std::ptrdiff_t>(rows * texts));
  return part;
}

// Gives each unanswered request of the batch its rows.
inline void Split(FakeBatch& batch, uint32_t index, const Output& whole) {
  CheckOutput(batch.instance, index, whole.array, batch.rows);
  for (FakeRequest* request : batch.requests) {
    const std::lock_guard<std::mutex> lock(request->mutex);
    if (!request->answered && !request->detached) TakeOne(*request);
  }
  uint64_t begin = 0;
  const bool batching = batch.instance.model.signature.max_batch_size > 0;
  for (FakeRequest* request : batch.requests) {
    const std::lock_guard<std::mutex> lock(request->mutex);
    if (!request->answered && !request->detached) {
      request->outputs[index] = batching ? Rows(whole, begin, request->rows, batch.rows) : whole;
    }
    begin += request->rows;
  }
}

inline Outputs Read(FakeRequest& request) {
  Outputs read;
  for (const auto& [index, output] : request.outputs) read[index] = output.Read();
  request.outputs.clear();
  return read;
}

inline void Send(FakeRequest& request) {
  const std::lock_guard<std::mutex> lock(request.mutex);
  RequireUnanswered(request, "a part is sent");
  const Model& model = request.instance->model;
  if ((model.api.capabilities & DESPINA_STREAMING) == 0) {
    throw Refused(DESPINA_UNIMPLEMENTED, "the backend does not declare DESPINA_STREAMING");
  }
  if (model.signature.decoupled != true)
    throw Refused(DESPINA_FAILED_PRECONDITION, "the model is not decoupled");
  request.parts.push_back(Read(request));
}

inline void Complete(FakeRequest& request, despina_code code, std::string_view message) {
  const std::lock_guard<std::mutex> lock(request.mutex);
  if (request.answered || request.instance == nullptr) {
    return State::Get().Note("request '" + request.id + "' was answered twice");
  }
  Outputs outputs = Read(request);
  if (code == DESPINA_OK) request.answer = std::move(outputs);
  request.code = code;
  request.message = message;
  if (request.cancelling == 0) request.lent.clear();
  request.instance = nullptr;
  request.answered = true;
  request.changed.notify_all();
}

inline despina_tensor Gathered(FakeBatch& batch, uint32_t index) {
  std::shared_ptr<Lent>& lent = batch.gathered[index];
  if (lent == nullptr) {
    Array whole;
    for (FakeRequest* request : batch.requests) {
      const auto part = request->inputs.find(index);
      if (part == request->inputs.end()) throw Error(DESPINA_NOT_FOUND, "it was left out");
      const Array& array = part->second;
      if (whole.shape.empty()) {
        whole.shape = array.shape;
        whole.datatype = array.datatype;
        if (!array.shape.empty() && batch.requests.size() > 1) whole.shape[0] = 0;
      }
      if (batch.requests.size() > 1) whole.shape[0] += array.shape[0];
      whole.bytes.insert(whole.bytes.end(), array.bytes.begin(), array.bytes.end());
      whole.texts.insert(whole.texts.end(), array.texts.begin(), array.texts.end());
    }
    lent = std::make_shared<Lent>(whole);
  }
  return lent->view();
}

template <class T>
void Give(T& to, uint32_t index, despina_tensor_owned* owned,
          void (*put)(T&, uint32_t, const Output&)) {
  Output output = Offered(*owned);
  // Made before, and told only then that it is the host's.
  auto accepted = std::make_shared<std::unique_ptr<Given>>();
  output.owner = accepted;
  put(to, index, output);
  *accepted = std::make_unique<Given>(*owned);
}

inline void Put(FakeRequest& request, uint32_t index, const Output& output) {
  const std::lock_guard<std::mutex> lock(request.mutex);
  RequireUnanswered(request, "an output is given");
  CheckOutput(*request.instance, index, output.array, request.rows);
  TakeOne(request);
  request.outputs[index] = output;
}

inline double& Metric(despina_metric* metric) { return *reinterpret_cast<double*>(metric); }
inline void AddTo(despina_metric* metric, double value) {
  const std::lock_guard<std::mutex> lock(State::Get().mutex);
  Metric(metric) += value;
}

using despina::detail::Guarded;

inline void AddBatchFunctions(despina_host_api& table) {
  table.batch_size = [](const despina_batch* batch) {
    return At(const_cast<despina_batch*>(batch)).requests.size();
  };
  table.batch_rows = [](const despina_batch* batch) {
    return At(const_cast<despina_batch*>(batch)).rows;
  };
  table.batch_request = [](despina_batch* batch, size_t i) {
    return reinterpret_cast<despina_request*>(At(batch).requests.at(i));
  };
  table.batch_gather = [](despina_batch* batch, uint32_t input, despina_device, void*,
                          despina_tensor* out, despina_error* error) {
    return Guarded(error, [&] { *out = Gathered(At(batch), input); });
  };
  table.batch_allocate = [](despina_batch* batch, uint32_t output, despina_datatype datatype,
                            const int64_t* shape, int32_t ndim, despina_tensor* out,
                            despina_error* error) {
    return Guarded(error, [&] {
      const Output whole = Allocated(datatype, shape, ndim);
      Split(At(batch), output, whole);
      *out = {const_cast<unsigned char*>(whole.data),
              shape,
              ndim,
              datatype,
              {DESPINA_DEVICE_CPU, 0},
              whole.size};
    });
  };
  table.batch_give = [](despina_batch* batch, uint32_t output, void*, despina_tensor_owned* tensor,
                        despina_error* error) {
    return Guarded(error, [&] { Give(At(batch), output, tensor, Split); });
  };
  table.batch_send = [](despina_batch* batch, despina_error* error) {
    return Guarded(error, [&] {
      for (FakeRequest* request : At(batch).requests) {
        if (!request->detached && !request->answered) Send(*request);
      }
    });
  };
  table.batch_complete = [](despina_batch* batch, despina_code code, despina_str message) {
    for (FakeRequest* request : At(batch).requests) {
      if (!request->detached && !request->answered) Complete(*request, code, View(message));
    }
  };
  table.batch_mark = [](despina_batch*, int32_t) {};
}

inline void AddRequestFunctions(despina_host_api& table) {
  table.request_id = [](const despina_request* request) { return Lend(At(request).id); };
  table.request_rows = [](const despina_request* request) { return At(request).rows; };
  table.request_parameter_count = [](const despina_request* request) {
    return At(request).parameters.size();
  };
  table.request_parameter = [](const despina_request* request, size_t i) {
    const auto& [name, text] = At(request).parameters.at(i);
    despina_parameter parameter{};
    parameter.name = Lend(name);
    parameter.type = DESPINA_PARAMETER_TEXT;
    parameter.value.as_text = Lend(text);
    return parameter;
  };
  table.request_cancelled = [](const despina_request* request) {
    return At(request).cancelled ? 1 : 0;
  };
  table.request_wants = [](const despina_request*, uint32_t) { return 1; };
  table.request_input = [](despina_request* handle, uint32_t input, despina_tensor* out,
                           despina_error* error) {
    return Guarded(error, [&] {
      FakeRequest& request = At(handle);
      const std::lock_guard<std::mutex> lock(request.mutex);
      // Who is told of a cancellation may look at the request, whoever answers it meanwhile.
      if (request.cancelling == 0) RequireUnanswered(request, "an input is looked at");
      const auto sent = request.inputs.find(input);
      if (sent == request.inputs.end()) throw Error(DESPINA_NOT_FOUND, "it was left out");
      std::shared_ptr<Lent>& lent = request.lent[input];
      if (lent == nullptr) lent = std::make_shared<Lent>(sent->second);
      *out = lent->view();
    });
  };
  table.request_allocate = [](despina_request* request, uint32_t output, despina_datatype datatype,
                              const int64_t* shape, int32_t ndim, despina_tensor* out,
                              despina_error* error) {
    return Guarded(error, [&] {
      const Output whole = Allocated(datatype, shape, ndim);
      Put(At(request), output, whole);
      *out = {const_cast<unsigned char*>(whole.data),
              shape,
              ndim,
              datatype,
              {DESPINA_DEVICE_CPU, 0},
              whole.size};
    });
  };
  table.request_give = [](despina_request* request, uint32_t output, void*,
                          despina_tensor_owned* tensor, despina_error* error) {
    return Guarded(error, [&] { Give(At(request), output, tensor, Put); });
  };
}

inline void AddAnswerFunctions(despina_host_api& table) {
  table.request_set_parameter = [](despina_request* handle, const despina_parameter* parameter,
                                   despina_error* error) {
    return Guarded(error, [&] {
      FakeRequest& request = At(handle);
      const std::lock_guard<std::mutex> lock(request.mutex);
      RequireUnanswered(request, "a parameter is set");
      request.answer_parameters[std::string(View(parameter->name))] = *parameter;
    });
  };
  table.request_send = [](despina_request* request, despina_error* error) {
    return Guarded(error, [&] { Send(At(request)); });
  };
  table.request_detach = [](despina_request* handle, despina_error* error) {
    return Guarded(error, [&] {
      FakeRequest& request = At(handle);
      const std::lock_guard<std::mutex> lock(request.mutex);
      RequireUnanswered(request, "it is detached");
      if ((request.instance->model.api.capabilities & DESPINA_ASYNC) == 0) {
        throw Refused(DESPINA_UNIMPLEMENTED, "the backend does not declare DESPINA_ASYNC");
      }
      request.detached = true;
    });
  };
  table.request_complete = [](despina_request* request, despina_code code, despina_str message) {
    Complete(At(request), code, View(message));
  };
  table.request_mark = [](despina_request*, int32_t) {};
}

inline despina_host_api MakeTable() {
  despina_host_api table{};
  table.struct_size = sizeof table;
  table.abi_major = DESPINA_ABI_MAJOR;
  table.abi_minor = DESPINA_ABI_MINOR;
  table.abi_hash = DESPINA_ABI_HASH;
  table.log = [](despina_log_level, despina_str text) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size), text.data);
  };
  table.query = [](despina_str) -> const void* { return nullptr; };
  AddBatchFunctions(table);
  AddRequestFunctions(table);
  AddAnswerFunctions(table);
  table.metric_create = [](despina_metrics*, const despina_metric_spec* spec, despina_metric** out,
                           despina_error*) -> despina_code {
    const std::lock_guard<std::mutex> lock(State::Get().mutex);
    double& value = State::Get().metrics[std::string(View(spec->name))];
    *out = reinterpret_cast<despina_metric*>(&value);
    return DESPINA_OK;
  };
  table.metric_add = table.metric_observe = AddTo;
  table.metric_set = [](despina_metric* metric, double value) {
    const std::lock_guard<std::mutex> lock(State::Get().mutex);
    Metric(metric) = value;
  };
  return table;
}

inline const despina_host_api& Table() {
  static const despina_host_api table = MakeTable();
  return table;
}

inline std::vector<despina_pair> LendPairs(const ModelDescription::Pairs& pairs) {
  std::vector<despina_pair> lent;
  for (const auto& [key, value] : pairs) {
    lent.push_back({despina::Lend(key), despina::Lend(value)});
  }
  return lent;
}

inline std::vector<TensorSpec> ReadSpecs(const despina_tensor_spec* specs, size_t count) {
  std::vector<TensorSpec> read;
  for (size_t i = 0; i < count; ++i) {
    read.push_back({std::string(View(specs[i].name)), specs[i].datatype,
                    std::vector<int64_t>(specs[i].shape, specs[i].shape + specs[i].ndim),
                    specs[i].optional != 0});
  }
  return read;
}

}  // namespace detail

inline void Library::ShakeHands(despina_backend_entry_function entry) {
  api_.struct_size = sizeof api_;
  despina::detail::Call(entry, &detail::Table(), &api_);
  if (api_.abi_hash != DESPINA_ABI_HASH || !DESPINA_HAS(&api_, instance_destroy)) {
    throw Error(DESPINA_FAILED_PRECONDITION, "compiled with another version of despina/abi.h");
  }
}

inline Backend::Backend(const Library& library, const ModelDescription::Pairs& options)
    : api(library.api()) {
  const std::vector<despina_pair> pairs = detail::LendPairs(options);
  despina::detail::Call(api.backend_create, &detail::Table(), pairs.data(), pairs.size(), &handle);
}

inline Model::Model(Backend& backend, ModelDescription told)
    : api(backend.api),
      description(std::move(told)),
      inputs_(despina::detail::Lend(description.inputs)),
      outputs_(despina::detail::Lend(description.outputs)),
      parameters_(detail::LendPairs(description.parameters)) {
  spec_.struct_size = sizeof spec_;
  spec_.max_batch_size = description.max_batch_size;
  spec_.name = Lend(description.name);
  spec_.version = Lend(description.version);
  spec_.path = Lend(description.path);
  spec_.config = Lend(description.config);
  spec_.parameters = parameters_.data();
  spec_.parameter_count = parameters_.size();
  spec_.inputs = inputs_.data();
  spec_.input_count = inputs_.size();
  spec_.outputs = outputs_.data();
  spec_.output_count = outputs_.size();
  despina::detail::Call(api.model_load, backend.handle, &spec_, &handle);
  despina_signature got{};
  got.struct_size = sizeof got;
  got.max_batch_size = -1;
  got.decoupled = -1;
  try {
    despina::detail::Call(api.model_describe, handle, &got);
  } catch (...) {
    api.model_unload(handle);
    throw;
  }
  signature.inputs = detail::ReadSpecs(got.inputs, got.input_count);
  signature.outputs = detail::ReadSpecs(got.outputs, got.output_count);
  signature.max_batch_size =
      got.max_batch_size < 0 ? description.max_batch_size : got.max_batch_size;
  signature.decoupled = got.decoupled < 0 ? description.decoupled : got.decoupled != 0;
}

inline Instance::Instance(Model& of, uint32_t ordinal) : model(of) {
  const std::string name = model.description.name + "_" + std::to_string(ordinal);
  despina_placement placement{};
  placement.struct_size = sizeof placement;
  placement.ordinal = ordinal;
  placement.name = Lend(name);
  placement.device = {DESPINA_DEVICE_CPU, 0};
  despina::detail::Call(model.api.instance_create, model.handle, &placement, &handle);
}

inline void Instance::Execute(const std::vector<FakeRequest*>& requests) {
  detail::FakeBatch batch{*this, requests, 0, {}};
  for (FakeRequest* request : requests) {
    const std::lock_guard<std::mutex> lock(request->mutex);
    request->instance = this;
    batch.rows += request->rows;
  }
  model.api.execute(handle, reinterpret_cast<despina_batch*>(&batch));
  for (FakeRequest* request : requests) {
    bool left = false;
    {
      const std::lock_guard<std::mutex> lock(request->mutex);
      left = !request->answered && !request->detached;
    }
    if (!left) continue;
    State::Get().Note("request '" + request->id + "' was left unanswered");
    detail::Complete(*request, DESPINA_INTERNAL, "the model returned without answering");
  }
}

}  // namespace despina::testing
