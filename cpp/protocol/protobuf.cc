#include "protocol/protobuf.h"

#include "base/utf8.h"

namespace despina::protocol {

using Wire = protozero::pbf_wire_type;

bool ProtoReader::Next() {
  if (!reader_.next()) return false;
  // Reading the value makes the library forget it, in builds with assertions.
  field_ = reader_.tag();
  return true;
}

void ProtoReader::Expect(Wire type) const {
  if (reader_.wire_type() == type) return;
  throw ProtoError(Concat("field ", field_, " has wire type ",
                          static_cast<uint32_t>(reader_.wire_type()), ", not ",
                          static_cast<uint32_t>(type)));
}

// The library's get_bool() looks at a byte that may not be there.
uint64_t ProtoReader::Uint64() {
  Expect(Wire::varint);
  return reader_.get_uint64();
}

double ProtoReader::Double() {
  Expect(Wire::fixed64);
  return reader_.get_double();
}

std::string_view ProtoReader::String() {
  const std::string_view text = Bytes();
  if (!IsUtf8(text)) throw ProtoError(Concat("field ", field_, " is not UTF-8"));
  return text;
}

std::string_view ProtoReader::Bytes() {
  Expect(Wire::length_delimited);
  // The library takes the lower 32 bits of a length.
  const char* place = reader_.data().data();
  const char* const end = place + reader_.length();
  if (protozero::decode_varint(&place, end) > static_cast<size_t>(end - place)) {
    throw protozero::end_of_buffer_exception();
  }
  const protozero::data_view view = reader_.get_view();
  return {view.data(), view.size()};
}

size_t ProtoReader::BehindLength() const {
  Expect(Wire::length_delimited);
  const char* place = reader_.data().data();
  const char* const end = place + reader_.length();
  protozero::decode_varint(&place, end);
  return static_cast<size_t>(end - place);
}

std::string_view ProtoReader::Varints() {
  if (reader_.has_wire_type(Wire::length_delimited)) return Bytes();
  Expect(Wire::varint);
  const char* const begin = reader_.data().data();
  reader_.skip();
  return {begin, static_cast<size_t>(reader_.data().data() - begin)};
}

std::string_view ProtoReader::Fixed32s() { return Numbers(Wire::fixed32, sizeof(uint32_t)); }
std::string_view ProtoReader::Fixed64s() { return Numbers(Wire::fixed64, sizeof(uint64_t)); }

std::string_view ProtoReader::Numbers(Wire type, size_t size) {
  if (reader_.has_wire_type(Wire::length_delimited)) {
    const std::string_view numbers = Bytes();
    if (numbers.size() % size != 0) throw protozero::invalid_length_exception();
    return numbers;
  }
  Expect(type);
  const char* const begin = reader_.data().data();
  reader_.skip();
  return {begin, size};
}

void ProtoReader::Skip() {
  if (reader_.has_wire_type(Wire::length_delimited)) {
    Bytes();
  } else {
    reader_.skip();
  }
}

}  // namespace despina::protocol
