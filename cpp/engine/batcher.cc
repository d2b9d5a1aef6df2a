#include "engine/batcher.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "memory/copy.h"

namespace despina {
namespace {

// The byte offsets at which the rows of a BYTES tensor begin, and its end.
std::vector<size_t> RowOffsets(const Tensor& tensor, size_t rows) {
  const uint64_t per_row = ElementCount(tensor.shape).value_or(0) / rows;
  std::vector<size_t> offsets{0};
  BytesReader reader(tensor.data.bytes());
  for (size_t row = 0; row < rows; ++row) {
    for (uint64_t i = 0; i < per_row; ++i) reader.Next();
    offsets.push_back(tensor.data.size() - reader.remaining());
  }
  return offsets;
}

}  // namespace

Result<Tensor> ConcatenateRows(std::span<const Tensor* const> parts, Allocator& allocator) {
  Tensor out{.datatype = parts[0]->datatype, .shape = parts[0]->shape, .data = {}};
  size_t bytes = 0;
  int64_t rows = 0;
  for (const Tensor* part : parts) {
    bytes += part->data.size();
    if (out.shape.rank() > 0) rows += part->shape[0];
  }
  if (out.shape.rank() > 0) out.shape[0] = rows;
  Result<Buffer> buffer = allocator.Allocate(bytes);
  if (!buffer.ok()) return buffer.status();
  std::byte* to = buffer->writable().data();
  for (const Tensor* part : parts) {
    if (part->data.empty()) continue;
    CopyTensorData(to, part->data.data(), part->data.size());
    to += part->data.size();
  }
  out.data = Slice(*std::move(buffer));
  return out;
}

std::vector<Slice> SplitRows(const Tensor& tensor, std::span<const uint32_t> rows) {
  size_t total = 0;
  for (const uint32_t each : rows) total += each;
  std::vector<Slice> parts;
  parts.reserve(rows.size());
  size_t row = 0;
  if (tensor.datatype == DataType::kBytes) {
    const std::vector<size_t> offsets = RowOffsets(tensor, total);
    for (const uint32_t each : rows) {
      parts.push_back(tensor.data.Part(offsets[row], offsets[row + each] - offsets[row]));
      row += each;
    }
    return parts;
  }
  const size_t row_size = tensor.data.size() / std::max<size_t>(total, 1);
  for (const uint32_t each : rows) {
    parts.push_back(tensor.data.Part(row * row_size, each * row_size));
    row += each;
  }
  return parts;
}

Status CheckOutput(const ModelDefinition& model, const TensorDefinition& output,
                   const Tensor& tensor, std::optional<uint32_t> rows) {
  // Texts are made when there is something to say: this runs for every answer.
  const auto where = [&] {
    return Concat("output '", output.name, "' of model '", model.name, "'");
  };
  const auto got = [&] { return ToText(tensor.shape); };
  if (tensor.datatype != output.datatype) {
    return Internal(Concat(where(), " is ", DataTypeName(tensor.datatype),
                           ", the configuration says ", DataTypeName(output.datatype)));
  }
  Shape shape = tensor.shape;
  if (rows) {
    if (shape.rank() == 0 || shape[0] != static_cast<int64_t>(*rows)) {
      return Internal(
          Concat(where(), " has shape ", got(), ", but the batch has ", *rows, " rows"));
    }
    shape = shape.WithoutFirst();
  }
  const Shape& dims = output.reshape ? *output.reshape : output.dims;
  if (!Fits(shape, dims)) {
    return Internal(Concat(where(), " has shape ", got(), ", the configuration says ",
                           ToText(rows ? dims.WithFirst(-1) : dims)));
  }
  if (tensor.datatype == DataType::kBytes) {
    const std::optional<uint64_t> count = CountElements(tensor.data.bytes());
    if (count && count == ElementCount(tensor.shape)) return Ok();
    return Internal(Concat(where(), " has ", count ? std::to_string(*count) : "cut off",
                           " string elements, which shape ", got(), " does not hold"));
  }
  if (ByteSize(tensor.datatype, tensor.shape) == tensor.data.size()) return Ok();
  return Internal(Concat(where(), " has ", tensor.data.size(), " bytes, which shape ", got(),
                         " does not hold"));
}

Shape ClientShape(const TensorDefinition& output, const Shape& shape, bool batched) {
  return output.reshape ? Reshaped(shape, *output.reshape, output.dims, batched) : shape;
}

}  // namespace despina
