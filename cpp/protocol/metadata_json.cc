#include "protocol/metadata_json.h"

#include <vector>

#include "engine/tensor.h"
#include "protocol/json_text.h"
#include "protocol/metadata.h"

namespace despina::protocol {
namespace {

void AppendTensor(std::string& out, const TensorDefinition& tensor, bool batched) {
  out += Concat(R"({"name":)", Quoted(tensor.name), R"(,"datatype":")",
                DataTypeName(tensor.datatype), R"(","shape":[)");
  const Shape shape = WireShape(tensor, batched);
  std::string_view separator;
  for (const int64_t dim : shape.dims()) {
    out += Concat(separator, dim);
    separator = ",";
  }
  out += "]}";
}

void AppendTensors(std::string& out, const std::vector<TensorDefinition>& tensors, bool batched) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (i > 0) out += ',';
    AppendTensor(out, tensors[i], batched);
  }
}

}  // namespace

std::string ServerMetadataJson(std::string_view name, std::string_view version) {
  std::string out =
      Concat(R"({"name":)", Quoted(name), R"(,"version":)", Quoted(version), R"(,"extensions":[)");
  std::string_view separator;
  for (const std::string_view extension : kServerExtensions) {
    out += Concat(separator, '"', extension, '"');
    separator = ",";
  }
  out += "]}";
  return out;
}

std::string ModelMetadataJson(const ModelDefinition& model, std::span<const int64_t> versions) {
  std::string out = Concat(R"({"name":)", Quoted(model.name), R"(,"versions":[)");
  for (size_t i = 0; i < versions.size(); ++i) {
    out += Concat(i > 0 ? "," : "", '"', versions[i], '"');
  }
  out += Concat(R"(],"platform":)", Quoted(model.platform), R"(,"inputs":[)");
  AppendTensors(out, model.inputs, model.batching_axis());
  out += R"(],"outputs":[)";
  AppendTensors(out, model.outputs, model.batching_axis());
  out += "]}";
  return out;
}

std::string RepositoryIndexJson(std::span<const IndexRow> rows, bool only_ready) {
  std::string out = "[";
  for (const IndexRow& row : rows) {
    if (!IsListed(row, only_ready)) continue;
    if (out.size() > 1) out += ',';
    out += Concat(R"({"name":)", Quoted(row.name));
    if (row.version) out += Concat(R"(,"version":")", *row.version, '"');
    if (!row.state.empty()) out += Concat(R"(,"state":)", Quoted(row.state));
    if (!row.reason.empty()) out += Concat(R"(,"reason":)", Quoted(row.reason));
    out += '}';
  }
  out += ']';
  return out;
}

}  // namespace despina::protocol
