// What the tests of inference requests over gRPC share.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <protozero/pbf_writer.hpp>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/text.h"
#include "protocol/infer_proto.h"
#include "protocol/test_support.h"

namespace despina::protocol {

// Bytes from their hexadecimal digits.
inline std::string FromHex(std::string_view digits) {
  std::string out;
  for (; !digits.empty(); digits.remove_prefix(2)) {
    out += static_cast<char>(std::stoi(std::string(digits.substr(0, 2)), nullptr, 16));
  }
  return out;
}

// A field of text, bytes or a message.
inline std::string Field(uint32_t number, std::string_view bytes) {
  std::string out;
  protozero::pbf_writer(out).add_bytes(number, bytes.data(), bytes.size());
  return out;
}
inline std::string Varint(uint32_t number, uint64_t value) {
  std::string out;
  protozero::pbf_writer(out).add_uint64(number, value);
  return out;
}
inline std::string Packed(uint32_t number, const std::vector<int64_t>& values) {
  std::string out;
  protozero::pbf_writer(out).add_packed_int64(number, values.begin(), values.end());
  return out;
}

// Values of a parameter: one field of an InferParameter.
inline std::string BoolValue(bool value) { return Varint(1, value ? 1 : 0); }
inline std::string IntValue(int64_t value) { return Varint(2, static_cast<uint64_t>(value)); }
inline std::string TextValue(std::string_view value) { return Field(3, value); }
inline std::string DoubleValue(double value) {
  std::string out;
  protozero::pbf_writer(out).add_double(4, value);
  return out;
}
inline std::string UnsignedValue(uint64_t value) { return Varint(5, value); }

inline std::string Entry(std::string_view name, std::string_view value) {
  return Concat(Field(1, name), Field(2, value));
}

// Parts of a ModelInferRequest, of fields that stand behind the others where they are given.
inline std::string RequestParameter(std::string_view name, std::string_view value) {
  return Field(4, Entry(name, value));
}
inline std::string Input(std::string_view name, std::string_view datatype,
                         const std::vector<int64_t>& shape, std::string_view more = "") {
  return Field(5, Concat(Field(1, name), Field(2, datatype), Packed(3, shape), more));
}
inline std::string TensorParameter(std::string_view name, std::string_view value) {
  return Field(4, Entry(name, value));
}
inline std::string Contents(std::string_view fields) { return Field(5, fields); }
inline std::string Output(std::string_view name) { return Field(6, Field(1, name)); }
inline std::string Output(std::string_view name, std::string_view parameter,
                          std::string_view value) {
  return Field(6, Concat(Field(1, name), Field(2, Entry(parameter, value))));
}
inline std::string Raw(std::string_view bytes) { return Field(7, bytes); }

// The code and the text that a request is refused with.
struct ProtoRefusal {
  std::string message;
  std::string text;
  Code code = Code::kInvalidArgument;
};

class InferProtoTest : public ::testing::Test {
 protected:
  // The message ends where its buffer does, so that sanitizers see what reads on.
  Result<InferRequest> Parse(std::string_view message) {
    return ParseInferProto(model_.Enter(), SliceOf(message), regions_, allocator_);
  }

  void ExpectRefused(const ProtoRefusal& refusal) {
    SCOPED_TRACE(refusal.text);
    const Result<InferRequest> result = Parse(refusal.message);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), refusal.code) << result.status().message();
    EXPECT_EQ(result.status().message(), refusal.text);
    EXPECT_EQ(model_.gate().inside(), 0U);
  }

  SharedRegions regions_;
  CountingAllocator allocator_;
  TestModel model_{TwoOf(DataType::kUint8)};
};

}  // namespace despina::protocol
