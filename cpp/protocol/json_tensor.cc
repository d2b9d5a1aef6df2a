#include "protocol/json_tensor.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "base/text.h"
#include "base/utf8.h"
#include "protocol/data_type_dispatch.h"
#include "protocol/json_text.h"

namespace despina::protocol {
namespace {

// A length precedes each element of BYTES.
using BytesLength = uint32_t;

// What is wrong with an element; a text is made of it once, at the end.
enum class Fault { kNone, kCount, kType, kRange };

Fault FaultOf(simdjson::error_code error) {
  return error == simdjson::NUMBER_OUT_OF_RANGE ? Fault::kRange : Fault::kType;
}

Fault ReadElement(const JsonValue& element, bool& out) {
  return element.get(out) ? Fault::kType : Fault::kNone;
}

template <std::integral Integer>
Fault ReadElement(const JsonValue& element, Integer& out) {
  std::conditional_t<std::is_signed_v<Integer>, int64_t, uint64_t> wide = 0;
  if (const auto error = element.get(wide)) return FaultOf(error);
  if (!std::in_range<Integer>(wide)) return Fault::kRange;
  out = static_cast<Integer>(wide);
  return Fault::kNone;
}

template <std::floating_point Float>
Fault ReadElement(const JsonValue& element, Float& out) {
  double wide = 0;
  if (element.get(wide)) return Fault::kType;
  out = static_cast<Float>(wide);
  // The document has no infinities: this one comes from a number beyond the datatype.
  return std::isinf(out) ? Fault::kRange : Fault::kNone;
}

// Calls `visit` for each element, those of inner arrays too, until one is at fault. Nested arrays
// are no deeper than the parser lets them be.
template <class Visit>
Fault VisitElements(const JsonArray& array, Visit& visit) {
  for (const JsonValue element : array) {
    const Fault fault = element.is_array()
                            ? VisitElements(element.get_array().value_unsafe(), visit)
                            : visit(element);
    if (fault != Fault::kNone) return fault;
  }
  return Fault::kNone;
}

// A value that is no array is its only element.
template <class Visit>
Fault VisitElements(const JsonValue& value, Visit visit) {
  return value.is_array() ? VisitElements(value.get_array().value_unsafe(), visit) : visit(value);
}

// Fills `room`, which has to be of their size.
template <class Element>
Fault ReadElements(const JsonValue& value, std::span<std::byte> room) {
  std::byte* out = room.data();
  const std::byte* const end = out + room.size();
  const Fault fault = VisitElements(value, [&](const JsonValue& element) {
    if (out == end) return Fault::kCount;
    Element read{};
    if (const Fault wrong = ReadElement(element, read); wrong != Fault::kNone) return wrong;
    std::memcpy(out, &read, sizeof read);
    out += sizeof read;
    return Fault::kNone;
  });
  return fault == Fault::kNone && out != end ? Fault::kCount : fault;
}

// The size of strings in wire form.
Fault MeasureStrings(const JsonValue& value, uint64_t& size) {
  return VisitElements(value, [&size](const JsonValue& element) {
    std::string_view text;
    if (element.get(text)) return Fault::kType;
    size += sizeof(BytesLength) + text.size();
    return Fault::kNone;
  });
}

// Precondition: all elements are strings, and `rest` has room for them.
void ReadStrings(const JsonValue& value, std::span<std::byte> rest) {
  VisitElements(value, [&rest](const JsonValue& element) {
    const std::string_view text = element.get_string().value_unsafe();
    const auto length = static_cast<BytesLength>(text.size());
    std::memcpy(rest.data(), &length, sizeof length);
    std::memcpy(rest.data() + sizeof length, text.data(), text.size());
    rest = rest.subspan(sizeof length + text.size());
    return Fault::kNone;
  });
}

// Looked at before memory is taken. A long array may hold arrays of its own in place of elements:
// what reads them finds out, so that it need not be gone through twice.
bool MayHoldAsMany(const JsonValue& value, DataType datatype, std::optional<uint64_t> count) {
  constexpr size_t kNotMore = 0xFFFFFF;  // what the parser says of longer ones
  if (value.is_array() && datatype != DataType::kBytes) {
    const size_t size = value.get_array().value_unsafe().size();
    if (size < kNotMore && size == count) return true;
  }
  return CountElements(value) == count;
}

std::string_view Access(DataType datatype) {
  switch (datatype) {
    case DataType::kBool:
      return "attempt to access JSON non-boolean as boolean";
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
    case DataType::kUint64:
      return "attempt to access JSON non-unsigned-integer as unsigned-integer";
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
    case DataType::kInt64:
      return "attempt to access JSON non-signed-integer as signed-integer";
    case DataType::kFp16:
    case DataType::kBf16:
    case DataType::kFp32:
    case DataType::kFp64:
      return "attempt to access JSON non-number as double";
    case DataType::kBytes:
      return "attempt to access JSON non-string as string";
  }
  return "unknown datatype";
}

Status FaultStatus(Fault fault, std::string_view input, DataType datatype) {
  switch (fault) {
    case Fault::kNone:
      return Ok();
    case Fault::kCount:
      return BadMember("data", Concat("Shape does not match true shape of 'data' field for input '",
                                      input, "'"));
    case Fault::kType:
      return BadMember("data", Concat(Access(datatype), " for input '", input, "'"));
    case Fault::kRange:
      return BadMember("data", Concat("a value is out of range for ", DataTypeName(datatype),
                                      " for input '", input, "'"));
  }
  return Internal("unknown fault");
}

// The backend's mistake: the host passes on what it gave.
Status Malformed(std::string_view output, const Tensor& tensor) {
  return Internal(Concat("output '", output, "' has shape ", ToText(tensor.shape), " of ",
                         DataTypeName(tensor.datatype), ", but data of ", tensor.data.size(),
                         " bytes that does not match it"));
}

// -- the other way

template <std::integral Integer>
char* WriteElement(Integer value, char* out) {
  return std::to_chars(out, out + std::numeric_limits<Integer>::digits10 + 2, value).ptr;
}
template <std::floating_point Float>
char* WriteElement(Float value, char* out) {
  return WriteNumber(value, out);
}

template <class Element>
constexpr size_t ElementTextSize() {
  if constexpr (std::is_floating_point_v<Element>) {
    return kMaxNumberSize<Element>;
  } else {
    return std::numeric_limits<Element>::digits10 + 2;
  }
}

// False when an element is not finite.
template <class Element>
bool AppendNumbers(std::span<const std::byte> data, TextBuffer& text) {
  constexpr size_t kSeparator = 1;
  const size_t count = data.size() / sizeof(Element);
  char* out = text.Room(count * (ElementTextSize<Element>() + kSeparator));
  if (out == nullptr || count == 0) return true;
  for (size_t i = 0; i < count; ++i) {
    Element value;
    std::memcpy(&value, data.data() + i * sizeof value, sizeof value);
    if constexpr (std::is_floating_point_v<Element>) {
      if (!std::isfinite(value)) return false;
    }
    out = WriteElement(value, out);
    *out++ = ',';
  }
  text.EndAt(out - kSeparator);
  return true;
}

void AppendBools(std::span<const std::byte> data, TextBuffer& text) {
  constexpr std::string_view kTrue = "true,";
  constexpr std::string_view kFalse = "false,";
  char* out = text.Room(data.size() * kFalse.size());
  if (out == nullptr || data.empty()) return;
  for (const std::byte each : data) {
    out = std::ranges::copy(each != std::byte{0} ? kTrue : kFalse, out).out;
  }
  text.EndAt(out - 1);
}

std::string_view Text(std::span<const std::byte> element) {
  return {reinterpret_cast<const char*>(element.data()), element.size()};
}

Status AppendStrings(std::string_view output, const Tensor& tensor, TextBuffer& text) {
  constexpr size_t kQuotesAndSeparator = 3;
  uint64_t count = 0;
  uint64_t size = 0;
  BytesReader measured(tensor.data.bytes());
  while (const auto element = measured.Next()) {
    if (!IsUtf8(Text(*element))) {
      return InvalidArgument(Concat("output '", output,
                                    "' holds bytes that are not UTF-8, which JSON cannot carry. "
                                    "Please use the binary data format for it"));
    }
    ++count;
    size += EscapedSize(Text(*element)) + kQuotesAndSeparator;
  }
  if (!measured.ok() || count != ElementCount(tensor.shape)) return Malformed(output, tensor);
  char* out = text.Room(size);
  if (out == nullptr || count == 0) return Ok();
  BytesReader reader(tensor.data.bytes());
  while (const auto element = reader.Next()) {
    *out++ = '"';
    out = WriteEscaped(Text(*element), out);
    *out++ = '"';
    *out++ = ',';
  }
  text.EndAt(out - 1);
  return Ok();
}

}  // namespace

uint64_t CountElements(const JsonValue& value) {
  uint64_t count = 0;
  VisitElements(value, [&count](const JsonValue&) {
    ++count;
    return Fault::kNone;
  });
  return count;
}

Result<Slice> DecodeJsonTensor(std::string_view input, const JsonValue& data, DataType datatype,
                               const Shape& shape, Allocator& allocator) {
  if (datatype == DataType::kFp16 || datatype == DataType::kBf16) {
    return InvalidArgument(Concat("receiving ", DataTypeName(datatype),
                                  " data via JSON is not supported. Please use the binary data "
                                  "format for input ",
                                  input));
  }
  if (!MayHoldAsMany(data, datatype, ElementCount(shape))) {
    return FaultStatus(Fault::kCount, input, datatype);
  }
  // Bounded by the document: every element of the count above stands in it.
  uint64_t size = ByteSize(datatype, shape).value_or(0);
  Fault fault = Fault::kNone;
  if (datatype == DataType::kBytes) fault = MeasureStrings(data, size);
  if (fault != Fault::kNone) return FaultStatus(fault, input, datatype);
  Result<Buffer> buffer = allocator.Allocate(size);
  if (!buffer.ok()) return buffer.status();
  const std::span<std::byte> room = buffer->writable();
  if (datatype == DataType::kBytes) {
    ReadStrings(data, room);
  } else if (datatype == DataType::kBool) {
    fault = ReadElements<bool>(data, room);
  } else {
    const auto read = [&]<class Element>() { return ReadElements<Element>(data, room); };
    fault = WithNumberType(datatype, read).value_or(Fault::kType);
  }
  if (fault != Fault::kNone) return FaultStatus(fault, input, datatype);
  return Slice(*std::move(buffer));
}

Status AppendJsonTensor(std::string_view output, const Tensor& tensor, TextBuffer& text) {
  text.Append('[');
  Status status = AppendJsonElements(output, tensor, text);
  text.Append(']');
  return status;
}

Status AppendJsonElements(std::string_view output, const Tensor& tensor, TextBuffer& text) {
  const DataType datatype = tensor.datatype;
  if (datatype == DataType::kFp16 || datatype == DataType::kBf16) {
    return InvalidArgument(Concat("sending ", DataTypeName(datatype),
                                  " data via JSON is not supported. Please use the binary data "
                                  "format for output ",
                                  output));
  }
  if (datatype != DataType::kBytes && ByteSize(datatype, tensor.shape) != tensor.data.size()) {
    return Malformed(output, tensor);
  }
  if (datatype == DataType::kBytes) {
    if (Status status = AppendStrings(output, tensor, text); !status.ok()) return status;
  } else if (datatype == DataType::kBool) {
    AppendBools(tensor.data.bytes(), text);
  } else {
    const auto append = [&]<class Element>() {
      return AppendNumbers<Element>(tensor.data.bytes(), text);
    };
    if (!WithNumberType(datatype, append).value_or(false)) {
      return InvalidArgument(Concat("output '", output,
                                    "' holds NaN or infinity, which JSON cannot carry. Please use "
                                    "the binary data format for it"));
    }
  }
  return Ok();
}

}  // namespace despina::protocol
