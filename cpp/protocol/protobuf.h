// Protobuf messages from outside, on top of protozero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>
#include <protozero/varint.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "base/text.h"

namespace despina::protocol {

// A message that cannot be one. Thrown by ProtoReader, as protozero throws its own; neither leaves
// ParsingProto().
class ProtoError final : public protozero::exception {
 public:
  explicit ProtoError(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

// Calls `parse`, which gives a Status or a Result and may read messages; INVALID_ARGUMENT that
// names the message where one is malformed.
template <class Parse>
auto ParsingProto(std::string_view message, Parse&& parse) -> decltype(parse()) {
  try {
    return parse();
  } catch (const protozero::exception& error) {
    return InvalidArgument(Concat("failed to parse ", message, ": ", error.what()));
  }
}

// The fields of a message, one after the other, as views on it. Unknown ones are for the caller to
// skip; a field whose wire type is not that of its value, a length that leads out of the message,
// text that is not UTF-8 and groups are malformed: then this throws.
//
//   for (ProtoReader reader(message); reader.Next();) {
//     switch (reader.field()) {
//       case kName:
//         name = reader.String();
//         break;
//       default:
//         reader.Skip();
//     }
//   }
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : reader_(message.data(), message.size()) {}

  // Goes to the next field, whose value is then to be read or skipped, once. False at the end.
  bool Next();
  uint32_t field() const { return field_; }

  bool Bool() { return Uint64() != 0; }
  int64_t Int64() { return static_cast<int64_t>(Uint64()); }
  uint64_t Uint64();
  double Double();
  std::string_view String();
  // Also of a message within the message, for a reader of its own.
  std::string_view Bytes();
  // Of repeated numbers: all of them when packed, otherwise one.
  std::string_view Varints();
  std::string_view Fixed32s();
  std::string_view Fixed64s();
  void Skip();

  // How much of the message follows the length of a value of bytes, which need not be all there.
  // The value is still to be read.
  size_t BehindLength() const;

 private:
  void Expect(protozero::pbf_wire_type type) const;
  std::string_view Numbers(protozero::pbf_wire_type type, size_t size);

  protozero::pbf_reader reader_;
  uint32_t field_ = 0;
};

// Calls `visit` with each number of ProtoReader::Varints().
template <class Visit>
void ForEachVarint(std::string_view varints, Visit visit) {
  const char* place = varints.data();
  const char* const end = place + varints.size();
  while (place != end) visit(protozero::decode_varint(&place, end));
}

}  // namespace despina::protocol
