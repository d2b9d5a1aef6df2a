#include "protocol/infer_contents.h"

#include <limits>
#include <string>

#include "protocol/infer_proto_test_support.h"

namespace despina::protocol {
namespace {

template <class Element>
std::string PackedFixed(uint32_t field, std::initializer_list<Element> elements) {
  return Field(field, BytesOf<Element>(elements));
}

class InferContentsTest : public InferProtoTest {
 protected:
  // An input of `count` elements with these contents.
  Result<InferRequest> ParseTyped(DataType datatype, int64_t count, std::string_view contents) {
    TestModel model(TwoOf(datatype));
    Result<InferRequest> infer = ParseInferProto(
        model.Enter(), SliceOf(Input("IN0", DataTypeName(datatype), {count}, Contents(contents))),
        regions_, allocator_);
    // It must not outlive its model.
    if (infer.ok()) infer->request->model = {};
    return infer;
  }

  void ExpectData(DataType datatype, int64_t count, std::string_view contents,
                  std::string_view data) {
    SCOPED_TRACE(DataTypeName(datatype));
    const Result<InferRequest> infer = ParseTyped(datatype, count, contents);
    ASSERT_TRUE(infer.ok()) << infer.status().message();
    EXPECT_EQ(TextOf(infer->request->inputs[0]->data), data);
    EXPECT_TRUE(infer->request->inputs[0]->data.aligned());
  }

  void ExpectRefusedTyped(DataType datatype, std::string_view contents, std::string_view text) {
    const Result<InferRequest> infer = ParseTyped(datatype, 1, contents);
    ASSERT_FALSE(infer.ok());
    EXPECT_EQ(infer.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(infer.status().message(), text);
  }
};

TEST_F(InferContentsTest, ReadsEveryDatatypeThatHasContents) {
  ExpectData(DataType::kBool, 3, Packed(1, {0, 1, 2}), std::string_view("\0\1\1", 3));
  ExpectData(DataType::kInt8, 2, Packed(2, {-128, 127}), BytesOf<int8_t>({-128, 127}));
  ExpectData(DataType::kInt16, 2, Packed(2, {-32768, 32767}), BytesOf<int16_t>({-32768, 32767}));
  ExpectData(DataType::kInt32, 2, Packed(2, {INT32_MIN, 7}), BytesOf<int32_t>({INT32_MIN, 7}));
  ExpectData(DataType::kInt64, 2, Packed(3, {INT64_MIN, 7}), BytesOf<int64_t>({INT64_MIN, 7}));
  ExpectData(DataType::kUint8, 2, Packed(4, {0, 255}), BytesOf<uint8_t>({0, 255}));
  ExpectData(DataType::kUint16, 1, Packed(4, {65535}), BytesOf<uint16_t>({65535}));
  ExpectData(DataType::kUint32, 1, Packed(4, {UINT32_MAX}), BytesOf<uint32_t>({UINT32_MAX}));
  ExpectData(DataType::kUint64, 1, Packed(5, {-1}), BytesOf<uint64_t>({UINT64_MAX}));
  ExpectData(DataType::kFp32, 2, PackedFixed<float>(6, {0.5F, -2}), BytesOf<float>({0.5F, -2}));
  ExpectData(DataType::kFp64, 2, PackedFixed<double>(7, {0.1, 2}), BytesOf<double>({0.1, 2}));
  ExpectData(DataType::kBytes, 3, Concat(Field(8, "a"), Field(8, ""), Field(8, "\xFF!")),
             StringsOf({"a", "", "\xFF!"}));
}

TEST_F(InferContentsTest, ElementsNeedNotBePacked) {
  ExpectData(DataType::kUint8, 4, Concat(Varint(4, 1), Packed(4, {2, 3}), Varint(4, 4)),
             "\1\2\3\4");
  ExpectData(DataType::kFp32, 3, Concat("\x35", BytesOf<float>({1}), PackedFixed<float>(6, {2, 3})),
             BytesOf<float>({1, 2, 3}));
  ExpectData(DataType::kFp64, 1, Concat("\x39", BytesOf<double>({1})), BytesOf<double>({1}));
}

TEST_F(InferContentsTest, ContentsThatAreThereTwiceAreOne) {
  TestModel model(TwoOf(DataType::kUint8));
  const std::string input =
      Input("IN0", "UINT8", {2}, Concat(Contents(Varint(4, 1)), Contents(Varint(4, 2))));
  const Result<InferRequest> infer =
      ParseInferProto(model.Enter(), SliceOf(input), regions_, allocator_);
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_EQ(TextOf(infer->request->inputs[0]->data), "\1\2");
}

TEST_F(InferContentsTest, NoElementsAreDataToo) {
  ExpectData(DataType::kFp32, 0, "", "");
  ExpectData(DataType::kFp16, 0, Field(6, ""), "");
  ExpectData(DataType::kInt8, 0, Field(6, ""), "");
  ExpectData(DataType::kInt8, 1, Concat(Field(6, ""), Field(20, "unknown"), Varint(2, 9)), "\x9");
}

TEST_F(InferContentsTest, ElementsOfAnotherDatatypeAreRefused) {
  const auto unexpected = [](std::string_view type, std::string_view expected) {
    return Concat("unexpected explicit tensor data for input tensor 'IN0' for model 'm' of type '",
                  type, "', expected datatype '", expected, "'");
  };
  const std::string floats = PackedFixed<float>(6, {1});
  ExpectRefusedTyped(DataType::kInt8, floats, unexpected("FP32", "INT8"));
  ExpectRefusedTyped(DataType::kInt8, Concat(Varint(2, 1), floats), unexpected("FP32", "INT8"));
  ExpectRefusedTyped(DataType::kFp16, floats, unexpected("FP32", "FP16"));
  ExpectRefusedTyped(DataType::kBf16, floats, unexpected("FP32", "BF16"));
  ExpectRefusedTyped(DataType::kFp32, Varint(1, 1), unexpected("BOOL", "FP32"));
  ExpectRefusedTyped(DataType::kFp32, Varint(2, 1), unexpected("INT32", "FP32"));
  ExpectRefusedTyped(DataType::kFp32, Varint(3, 1), unexpected("INT64", "FP32"));
  ExpectRefusedTyped(DataType::kFp32, Varint(4, 1), unexpected("UINT32", "FP32"));
  ExpectRefusedTyped(DataType::kFp32, Varint(5, 1), unexpected("UINT64", "FP32"));
  ExpectRefusedTyped(DataType::kFp32, PackedFixed<double>(7, {1}), unexpected("FP64", "FP32"));
  ExpectRefusedTyped(DataType::kFp32, Field(8, ""), unexpected("BYTES", "FP32"));
}

TEST_F(InferContentsTest, ValuesOutOfRangeAreRefused) {
  const auto out_of_range = [](std::string_view datatype) {
    return Concat("a value is out of range for ", datatype, " for input 'IN0' for model 'm'");
  };
  ExpectRefusedTyped(DataType::kInt8, Packed(2, {128}), out_of_range("INT8"));
  ExpectRefusedTyped(DataType::kInt16, Packed(2, {-32769}), out_of_range("INT16"));
  ExpectRefusedTyped(DataType::kUint8, Packed(4, {256}), out_of_range("UINT8"));
  ExpectRefusedTyped(DataType::kUint16, Packed(4, {65536}), out_of_range("UINT16"));
}

TEST_F(InferContentsTest, MalformedElementsAreRefused) {
  const std::string failed = "failed to parse ModelInferRequest: ";
  ExpectRefusedTyped(DataType::kUint8, Field(4, "\x01\x80"), failed + "end of buffer exception");
  ExpectRefusedTyped(DataType::kUint8, Field(4, std::string(11, '\xFF') + "\x01"),
                     failed + "varint too long exception");
  ExpectRefusedTyped(DataType::kFp32, Field(6, "12345"), failed + "invalid length exception");
  ExpectRefusedTyped(DataType::kFp64, Field(7, "1234"), failed + "invalid length exception");
  ExpectRefusedTyped(DataType::kBytes, Varint(8, 1), failed + "field 8 has wire type 0, not 2");
}

TEST_F(InferContentsTest, TheNumberOfElementsIsComparedWithTheShapeByTheModel) {
  const std::string message = Input("IN0", "UINT8", {3}, Contents(Packed(4, {1, 2})));
  Result<InferRequest> infer = Parse(message + Input("IN1", "UINT8", {0}, Contents("")));
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_EQ(model_.Prepare(*infer->request).message(),
            "input byte size mismatch for input 'IN0' for model 'm'. Expected 3, got 2");
}

TEST_F(InferContentsTest, MemoryIsTakenForTheElementsThatAreThere) {
  const Result<InferRequest> infer =
      ParseTyped(DataType::kInt64, std::numeric_limits<int64_t>::max(), Packed(3, {1, 2}));
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_EQ(allocator_.bytes(), 16U);
  ExhaustedAllocator exhausted;
  const std::string message = Input("IN0", "UINT8", {1}, Contents(Varint(4, 1)));
  EXPECT_EQ(ParseInferProto(model_.Enter(), SliceOf(message), regions_, exhausted).status().code(),
            Code::kResourceExhausted);
}

}  // namespace
}  // namespace despina::protocol
