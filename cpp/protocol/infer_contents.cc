#include "protocol/infer_contents.h"

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/text.h"
#include "protocol/data_type_dispatch.h"
#include "protocol/protobuf.h"

namespace despina::protocol {
namespace {

// Of a message InferTensorContents.
enum class Field : uint32_t { kNone, kBool, kInt, kInt64, kUint, kUint64, kFp32, kFp64, kBytes };

// A length precedes each element of BYTES.
using BytesLength = uint32_t;

// Where elements of a datatype stand.
Field FieldOf(DataType datatype) {
  switch (datatype) {
    case DataType::kBool:
      return Field::kBool;
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
      return Field::kInt;
    case DataType::kInt64:
      return Field::kInt64;
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
      return Field::kUint;
    case DataType::kUint64:
      return Field::kUint64;
    case DataType::kFp32:
      return Field::kFp32;
    case DataType::kFp64:
      return Field::kFp64;
    case DataType::kBytes:
      return Field::kBytes;
    case DataType::kFp16:
    case DataType::kBf16:
      return Field::kNone;
  }
  return Field::kNone;
}

DataType WidestOf(Field field) {
  constexpr DataType kWidest[] = {DataType::kBool,   DataType::kInt32,  DataType::kInt64,
                                  DataType::kUint32, DataType::kUint64, DataType::kFp32,
                                  DataType::kFp64,   DataType::kBytes};
  return kWidest[static_cast<uint32_t>(field) - 1];
}

// Elements of one field, as they are on the wire.
struct Elements {
  Field field = Field::kNone;
  std::string_view bytes;
};

uint64_t Count(const Elements& elements) {
  switch (elements.field) {
    case Field::kFp32:
      return elements.bytes.size() / sizeof(float);
    case Field::kFp64:
      return elements.bytes.size() / sizeof(double);
    case Field::kBytes:
      return 1;
    default:
      // Each varint ends with the only byte that has no highest bit.
      return static_cast<uint64_t>(std::ranges::count_if(
          elements.bytes, [](char each) { return (static_cast<uint8_t>(each) & 0x80U) == 0; }));
  }
}

Elements ReadElements(ProtoReader& reader) {
  const auto field = static_cast<Field>(reader.field());
  switch (field) {
    case Field::kBool:
    case Field::kInt:
    case Field::kInt64:
    case Field::kUint:
    case Field::kUint64:
      return {field, reader.Varints()};
    case Field::kFp32:
      return {field, reader.Fixed32s()};
    case Field::kFp64:
      return {field, reader.Fixed64s()};
    case Field::kBytes:
      return {field, reader.Bytes()};
    case Field::kNone:
      break;
  }
  reader.Skip();
  return {};
}

// Calls `visit` with all elements, in order, until it gives false. A field `contents` that is there
// twice is one that holds the elements of both.
template <class Visit>
bool VisitElements(std::string_view input_tensor, Visit visit) {
  constexpr uint32_t kContents = 5;
  for (ProtoReader tensor(input_tensor); tensor.Next();) {
    if (tensor.field() != kContents) {
      tensor.Skip();
      continue;
    }
    for (ProtoReader contents(tensor.Bytes()); contents.Next();) {
      const Elements elements = ReadElements(contents);
      if (elements.field != Field::kNone && !visit(elements)) return false;
    }
  }
  return true;
}

// Writes elements of one field; false when one is out of range. `out` has room for as many as
// Count() says.
template <class Element>
bool WriteNumbers(const Elements& elements, std::byte*& out) {
  if constexpr (std::floating_point<Element>) {
    std::memcpy(out, elements.bytes.data(), elements.bytes.size());
    out += elements.bytes.size();
    return true;
  } else {
    // Smaller ones are 32 bits wide in protobuf.
    using Narrow = std::conditional_t<std::is_signed_v<Element>, int32_t, uint32_t>;
    using Wire = std::conditional_t<sizeof(Element) == sizeof(uint64_t), Element, Narrow>;
    bool fits = true;
    ForEachVarint(elements.bytes, [&](uint64_t varint) {
      const auto value = static_cast<Wire>(varint);
      fits = fits && std::in_range<Element>(value);
      const auto element = static_cast<Element>(value);
      std::memcpy(out, &element, sizeof element);
      out += sizeof element;
    });
    return fits;
  }
}

bool WriteBools(const Elements& elements, std::byte*& out) {
  ForEachVarint(elements.bytes, [&](uint64_t varint) { *out++ = std::byte{varint != 0}; });
  return true;
}

bool WriteString(const Elements& elements, std::byte*& out) {
  const auto length = static_cast<BytesLength>(elements.bytes.size());
  std::memcpy(out, &length, sizeof length);
  std::memcpy(out + sizeof length, elements.bytes.data(), length);
  out += sizeof length + length;
  return true;
}

bool WriteElements(const Elements& elements, DataType datatype, std::byte*& out) {
  if (datatype == DataType::kBool) return WriteBools(elements, out);
  if (datatype == DataType::kBytes) return WriteString(elements, out);
  const auto write = [&]<class Element>() { return WriteNumbers<Element>(elements, out); };
  return WithNumberType(datatype, write).value_or(false);
}

}  // namespace

Result<Slice> DecodeContents(std::string_view input_tensor, DataType datatype,
                             std::string_view input, std::string_view model, Allocator& allocator) {
  const Field expected = FieldOf(datatype);
  Field other = Field::kNone;
  // Bounded by the message: every element stands in it.
  uint64_t size = 0;
  VisitElements(input_tensor, [&](const Elements& elements) {
    const uint64_t count = Count(elements);
    if (elements.field != expected && count > 0) other = elements.field;
    size += datatype == DataType::kBytes ? sizeof(BytesLength) + elements.bytes.size()
                                         : count * ElementSize(datatype);
    return other == Field::kNone;
  });
  if (other != Field::kNone) {
    return InvalidArgument(Concat("unexpected explicit tensor data for input tensor '", input,
                                  "' for model '", model, "' of type '",
                                  DataTypeName(WidestOf(other)), "', expected datatype '",
                                  DataTypeName(datatype), "'"));
  }
  Result<Buffer> buffer = allocator.Allocate(size);
  if (!buffer.ok()) return buffer.status();
  std::byte* out = buffer->writable().data();
  const bool fits = VisitElements(input_tensor, [&](const Elements& elements) {
    return elements.field != expected || WriteElements(elements, datatype, out);
  });
  if (fits) return Slice(*std::move(buffer));
  return InvalidArgument(Concat("a value is out of range for ", DataTypeName(datatype),
                                " for input '", input, "' for model '", model, "'"));
}

}  // namespace despina::protocol
