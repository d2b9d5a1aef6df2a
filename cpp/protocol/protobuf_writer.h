// Writing of protobuf messages whose large fields are sent from where they lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <protozero/types.hpp>
#include <protozero/varint.hpp>
#include <span>
#include <string_view>
#include <type_traits>

#include "memory/buffer.h"

namespace despina::protocol {

// A sink that only counts.
class ProtoCounter {
 public:
  void Varint(uint64_t value) { text_ += protozero::length_of_varint(value); }
  void Text(std::string_view text) { text_ += text.size(); }
  void Data(const Slice& data) { data_ += data.size(); }
  void Add(const ProtoCounter& other) {
    text_ += other.text_;
    data_ += other.data_;
  }

  // Bytes that have to be written.
  size_t text() const { return text_; }
  // These and the bytes that lie elsewhere.
  size_t total() const { return text_ + data_; }

 private:
  size_t text_ = 0;
  size_t data_ = 0;
};

// Writes fields into a sink: Varint(), Text() and Data() as ProtoCounter has them.
template <class Sink>
class ProtoWriter {
 public:
  explicit ProtoWriter(Sink& sink) : sink_(sink) {}

  void Varint(uint32_t field, uint64_t value) {
    Tag(field, protozero::pbf_wire_type::varint);
    sink_.Varint(value);
  }
  void Double(uint32_t field, double value) {
    Tag(field, protozero::pbf_wire_type::fixed64);
    sink_.Text({reinterpret_cast<const char*>(&value), sizeof value});
  }
  void String(uint32_t field, std::string_view text) {
    Tag(field, protozero::pbf_wire_type::length_delimited);
    sink_.Varint(text.size());
    sink_.Text(text);
  }
  void Data(uint32_t field, const Slice& data) {
    Tag(field, protozero::pbf_wire_type::length_delimited);
    sink_.Varint(data.size());
    sink_.Data(data);
  }
  void Packed(uint32_t field, std::span<const int64_t> values) {
    Message(field, [&](auto& writer) {
      for (const int64_t each : values) writer.sink_.Varint(static_cast<uint64_t>(each));
    });
  }
  // `write` is called with a writer, twice where this one is not counting.
  template <class Write>
  void Message(uint32_t field, const Write& write) {
    ProtoCounter counter;
    ProtoWriter<ProtoCounter> counting(counter);
    write(counting);
    Tag(field, protozero::pbf_wire_type::length_delimited);
    sink_.Varint(counter.total());
    if constexpr (std::is_same_v<Sink, ProtoCounter>) {
      sink_.Add(counter);
    } else {
      write(*this);
    }
  }

 private:
  template <class>
  friend class ProtoWriter;

  void Tag(uint32_t field, protozero::pbf_wire_type type) {
    sink_.Varint(uint64_t{field} << 3 | static_cast<uint64_t>(type));
  }

  Sink& sink_;
};

}  // namespace despina::protocol
