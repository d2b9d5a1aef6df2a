#include "protocol/metadata_proto.h"

#include "engine/tensor.h"
#include "protocol/metadata.h"
#include "protocol/proto_fields.h"

namespace despina::protocol {
namespace {

using protozero::pbf_writer;

std::string TensorProto(const TensorDefinition& tensor, bool batched) {
  const Shape shape = WireShape(tensor, batched);
  std::string bytes;
  pbf_writer message(bytes);
  AddText(message, 1, tensor.name);
  AddText(message, 2, DataTypeName(tensor.datatype));
  message.add_packed_int64(3, shape.dims().begin(), shape.dims().end());
  return bytes;
}

std::string IndexRowProto(const IndexRow& row) {
  std::string bytes;
  pbf_writer message(bytes);
  AddText(message, 1, row.name);
  if (row.version) AddText(message, 2, std::to_string(*row.version));
  AddText(message, 3, row.state);
  AddText(message, 4, row.reason);
  return bytes;
}

}  // namespace

std::string ServerMetadataProto(std::string_view name, std::string_view version) {
  std::string bytes;
  pbf_writer message(bytes);
  AddText(message, 1, name);
  AddText(message, 2, version);
  for (const std::string_view extension : kServerExtensions) AddText(message, 3, extension);
  return bytes;
}

std::string ModelMetadataProto(const ModelDefinition& model, std::span<const int64_t> versions) {
  const bool batched = model.batching_axis();
  std::string bytes;
  pbf_writer message(bytes);
  AddText(message, 1, model.name);
  for (const int64_t version : versions) AddText(message, 2, std::to_string(version));
  AddText(message, 3, model.platform);
  for (const TensorDefinition& input : model.inputs) {
    message.add_message(4, TensorProto(input, batched));
  }
  for (const TensorDefinition& output : model.outputs) {
    message.add_message(5, TensorProto(output, batched));
  }
  return bytes;
}

std::string ModelConfigProto(const ModelDefinition& model) {
  std::string bytes;
  pbf_writer(bytes).add_message(1, model.config_proto);
  return bytes;
}

std::string RepositoryIndexProto(std::span<const IndexRow> rows, bool only_ready) {
  std::string bytes;
  pbf_writer message(bytes);
  for (const IndexRow& row : rows) {
    if (!IsListed(row, only_ready)) continue;
    message.add_message(1, IndexRowProto(row));
  }
  return bytes;
}

}  // namespace despina::protocol
