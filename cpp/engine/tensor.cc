#include "engine/tensor.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/text.h"

namespace despina {
namespace {

struct DataTypeRow {
  std::string_view name;
  size_t size;
};

// In the order of the enumeration.
constexpr std::array<DataTypeRow, kDataTypes> kRows = {{{"BOOL", 1},
                                                        {"UINT8", 1},
                                                        {"UINT16", 2},
                                                        {"UINT32", 4},
                                                        {"UINT64", 8},
                                                        {"INT8", 1},
                                                        {"INT16", 2},
                                                        {"INT32", 4},
                                                        {"INT64", 8},
                                                        {"FP16", 2},
                                                        {"FP32", 4},
                                                        {"FP64", 8},
                                                        {"BYTES", 0},
                                                        {"BF16", 2}}};

// All have eight characters at most, and are compared as one number.
constexpr uint64_t KeyOf(std::string_view name) {
  uint64_t key = 0;
  for (const char each : name) key = key << 8U | static_cast<uint8_t>(each);
  return key;
}

static_assert(std::ranges::all_of(
    kRows, [](std::string_view name) { return name.size() <= sizeof(uint64_t); },
    &DataTypeRow::name));

constexpr std::array<uint64_t, kDataTypes> kKeys = [] {
  std::array<uint64_t, kDataTypes> keys{};
  std::ranges::transform(kRows, keys.begin(), KeyOf, &DataTypeRow::name);
  return keys;
}();

}  // namespace

std::string_view DataTypeName(DataType datatype) {
  return kRows[static_cast<size_t>(datatype)].name;
}

std::optional<DataType> ParseDataType(std::string_view name) {
  if (name.size() > sizeof(uint64_t)) return std::nullopt;
  const uint64_t key = KeyOf(name);
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (kKeys[i] == key && kRows[i].name.size() == name.size()) {
      return static_cast<DataType>(i);
    }
  }
  return std::nullopt;
}

size_t ElementSize(DataType datatype) { return kRows[static_cast<size_t>(datatype)].size; }

bool Shape::Append(int64_t dim) {
  if (rank_ == kMaxRank) return false;
  dims_[rank_++] = dim;
  return true;
}

Shape Shape::WithFirst(int64_t dim) const {
  Shape out{dim};
  for (const int64_t each : dims()) out.Append(each);
  return out;
}

bool Shape::operator==(const Shape& other) const {
  return std::ranges::equal(dims(), other.dims());
}

std::string ToText(const Shape& shape) {
  std::string out = "[";
  for (size_t axis = 0; axis < shape.rank(); ++axis) {
    if (axis > 0) out += ',';
    AppendPiece(out, shape[axis]);
  }
  out += ']';
  return out;
}

std::optional<uint64_t> ElementCount(const Shape& shape) {
  uint64_t count = 1;
  for (const int64_t dim : shape.dims()) {
    if (dim < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(dim), &count)) {
      return std::nullopt;
    }
  }
  return count;
}

std::optional<uint64_t> ByteSize(DataType datatype, const Shape& shape) {
  const size_t size = ElementSize(datatype);
  std::optional<uint64_t> count = ElementCount(shape);
  if (size == 0 || !count || __builtin_mul_overflow(*count, uint64_t{size}, &*count)) {
    return std::nullopt;
  }
  return count;
}

bool Fits(const Shape& shape, const Shape& dims) {
  return std::ranges::equal(shape.dims(), dims.dims(),
                            [](int64_t size, int64_t dim) { return dim < 0 || size == dim; });
}

Shape Reshaped(const Shape& shape, const Shape& from, const Shape& to, bool batched) {
  const size_t first = batched ? 1 : 0;
  Shape out;
  if (batched) out.Append(shape[0]);
  size_t axis = 0;
  for (const int64_t dim : to.dims()) {
    if (dim >= 0) {
      out.Append(dim);
      continue;
    }
    while (axis < from.rank() && from[axis] >= 0) ++axis;
    out.Append(axis < from.rank() ? shape[axis + first] : 1);
    ++axis;
  }
  return out;
}

std::optional<std::span<const std::byte>> BytesReader::Next() {
  uint32_t size = 0;
  if (rest_.empty()) return std::nullopt;
  if (rest_.size() < sizeof size) {
    ok_ = false;
    return std::nullopt;
  }
  std::memcpy(&size, rest_.data(), sizeof size);
  if (rest_.size() - sizeof size < size) {
    ok_ = false;
    return std::nullopt;
  }
  const auto element = rest_.subspan(sizeof size, size);
  rest_ = rest_.subspan(sizeof size + size);
  return element;
}

std::optional<uint64_t> CountElements(std::span<const std::byte> data) {
  BytesReader reader(data);
  uint64_t count = 0;
  while (reader.Next()) ++count;
  return reader.ok() ? std::optional(count) : std::nullopt;
}

}  // namespace despina
