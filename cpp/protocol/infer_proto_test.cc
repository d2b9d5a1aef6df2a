#include "protocol/infer_proto.h"

#include <string>

#include "protocol/infer_binary.h"
#include "protocol/infer_proto_test_support.h"

namespace despina::protocol {
namespace {

std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Made by the protobuf library of Python.
constexpr std::string_view kRawRequest =
    "0a016d2a0f0a03494e30120555494e54381a01032a0f0a03494e31120555494e54381a01003a036162633a00";

TEST_F(InferProtoTest, ReadsWhatAnotherLibraryWrote) {
  const Result<InferRequest> infer = Parse(FromHex(kRawRequest));
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  const auto& inputs = infer->request->inputs;
  ASSERT_TRUE(inputs[0] && inputs[1]);
  EXPECT_EQ(inputs[0]->datatype, DataType::kUint8);
  EXPECT_EQ(inputs[0]->shape, (Shape{3}));
  EXPECT_EQ(TextOf(inputs[0]->data), "abc");
  EXPECT_EQ(inputs[1]->shape, (Shape{0}));
  EXPECT_TRUE(inputs[1]->data.empty());
  EXPECT_EQ(infer->request->id, "");
  EXPECT_TRUE(infer->preferences.listed.empty());
  EXPECT_FALSE(infer->enable_empty_final_response);
  EXPECT_TRUE(model_.Prepare(*infer->request).ok());
}

TEST_F(InferProtoTest, ReadsIdAndOutputs) {
  const Result<InferRequest> infer =
      Parse(Concat(Field(3, "old"), Field(3, "n\xC3\xA9"), Output("OUT1"),
                   Output("OUT0", "classification", IntValue(int64_t{1} << 40))));
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_EQ(infer->request->id, "n\xC3\xA9") << "what stands last counts";
  EXPECT_EQ(infer->request->requested_outputs, (std::vector<uint32_t>{1, 0}));
  ASSERT_EQ(infer->preferences.listed.size(), 2U);
  EXPECT_EQ(infer->preferences.listed[0].classification, 0U);
  EXPECT_EQ(infer->preferences.listed[1].classification, UINT32_MAX);
}

TEST_F(InferProtoTest, FieldsMayStandInAnyOrderAndUnknownOnesAreSkipped) {
  const std::string unknown = Concat(Varint(100, 7), Field(101, "\xFF"));
  const Result<InferRequest> infer =
      Parse(Concat(unknown, Raw("ab"),
                   Field(5, Concat(unknown, Varint(3, 2), Field(2, "UINT8"), Field(1, "IN1"))),
                   Raw("c"), Input("IN0", "UINT8", {1}, unknown), Field(1, "m")));
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_EQ(infer->request->inputs[1]->shape, (Shape{2}));
  EXPECT_EQ(TextOf(infer->request->inputs[1]->data), "ab");
  EXPECT_EQ(TextOf(infer->request->inputs[0]->data), "c");
}

TEST_F(InferProtoTest, RawDataIsAViewOfTheMessageWhereItIsAligned) {
  const std::string head = Input("IN0", "UINT8", {3});
  // Before the data stand its tag and its length.
  const Slice aligned = BodyOf(head + "\x3A\x03", "abc");
  const uint64_t copies = MisalignedCopies();
  Result<InferRequest> infer = ParseInferProto(model_.Enter(), aligned, regions_, allocator_);
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_EQ(infer->request->inputs[0]->data.data(), aligned.data() + head.size() + 2);
  EXPECT_EQ(allocator_.count(), 0U);

  const Slice shifted = BodyOf(head + "\x3A\x03", "abc", 1);
  infer = ParseInferProto(model_.Enter(), shifted, regions_, allocator_);
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_EQ(TextOf(infer->request->inputs[0]->data), "abc");
  EXPECT_TRUE(infer->request->inputs[0]->data.aligned());
  EXPECT_EQ(allocator_.bytes(), 3U);
  EXPECT_EQ(MisalignedCopies(), copies + 1);

  ExhaustedAllocator exhausted;
  EXPECT_EQ(ParseInferProto(model_.Enter(), shifted, regions_, exhausted).status().code(),
            Code::kResourceExhausted);
}

TEST_F(InferProtoTest, StringsAreNeverCopied) {
  TestModel model(TwoOf(DataType::kBytes));
  const Slice message = BodyOf(Input("IN0", "BYTES", {1}) + Raw(StringsOf({"x"})), "", 1);
  const Result<InferRequest> infer = ParseInferProto(model.Enter(), message, regions_, allocator_);
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_EQ(TextOf(infer->request->inputs[0]->data), StringsOf({"x"}));
  EXPECT_EQ(allocator_.count(), 0U);
}

TEST_F(InferProtoTest, RefusesInputs) {
  const std::string in0 = Input("IN0", "UINT8", {3});
  const std::string in1 = Input("IN1", "UINT8", {3});
  const std::string typed = Contents(Varint(4, 1));
  const std::string mixed =
      "contents field must not be specified when using raw_input_contents for ";
  const std::vector<int64_t> many(Shape::kMaxRank + 1, 1);
  const ProtoRefusal refusals[] = {
      {Input("X", "UINT8", {3}), "unexpected inference input 'X' for model 'm'"},
      {Field(5, ""), "unexpected inference input '' for model 'm'"},
      {in0 + in0, "[request id: <id_unknown>] input 'IN0' already exists in request"},
      {Field(3, "me") + in0 + in0, "[request id: me] input 'IN0' already exists in request"},
      {Input("IN0", "UINT9", {3}), "invalid datatype for input IN0"},
      {Input("IN0", "", {3}), "invalid datatype for input IN0"},
      {Input("IN0", "UINT8", {3, -2}), "dimension -2 in the shape of input 'IN0' is negative"},
      {Input("IN0", "UINT8", many), "input 'IN0' has more than 16 dimensions"},
      {in0, "unable to find data for input tensor 'IN0' for model 'm' in request."},
      {in0 + in1 + Raw("abc"),
       "unable to find data for input tensor 'IN1' for model 'm' in request."},
      {in0 + Raw("abc") + Raw("d"), "unexpected additional input data for model 'm'"},
      {in0 + in1 + Raw("abc") + Raw("d") + Raw("e"),
       "unexpected additional input data for model 'm'"},
      {Raw(""), "unexpected additional input data for model 'm'"},
      {Input("IN0", "UINT8", {1}, typed) + Raw("a"), mixed + "'IN0' for model 'm'"},
      {in0 + Input("IN1", "UINT8", {1}, typed) + Raw("abc"), mixed + "'IN1' for model 'm'"},
      {Input("IN0", "UINT8", {1}, Contents("")) + Raw("a"), mixed + "'IN0' for model 'm'"},
  };
  for (const ProtoRefusal& refusal : refusals) ExpectRefused(refusal);
}

TEST_F(InferProtoTest, RefusesOutputs) {
  const auto classes = [](std::string_view value) {
    return Output("OUT0", "classification", value);
  };
  const std::string type =
      "invalid value type for 'classification' parameter, expected int64_param.";
  const std::string range = "invalid value for 'classification' parameter, expected > 0";
  const ProtoRefusal refusals[] = {
      {Output("X"), "unexpected inference output 'X' for model 'm'"},
      {Output("OUT0") + Output("OUT0"), "output 'OUT0' is requested more than once from model 'm'"},
      {classes(IntValue(0)), range},
      {classes(IntValue(-1)), range},
      {classes(UnsignedValue(1)), type},
      {classes(TextValue("1")), type},
      {classes(""), type},
  };
  for (const ProtoRefusal& refusal : refusals) ExpectRefused(refusal);
}

TEST_F(InferProtoTest, RefusesMessagesThatAreNone) {
  const auto failed = [](std::string_view why) {
    return Concat("failed to parse ModelInferRequest: ", why);
  };
  const ProtoRefusal refusals[] = {
      {"\xFF", failed("end of buffer exception")},
      {"\x0B\x0C", failed("unknown pbf field type exception")},
      {Field(3, "\xFF"), failed("field 3 is not UTF-8")},
      {Input("\xFF", "UINT8", {1}), failed("field 1 is not UTF-8")},
      {Output("\xFF"), failed("field 1 is not UTF-8")},
      {RequestParameter("\xFF", BoolValue(true)), failed("field 1 is not UTF-8")},
      {RequestParameter("p", TextValue("\xFF")), failed("field 3 is not UTF-8")},
      {Varint(5, 1), failed("field 5 has wire type 0, not 2")},
      {Varint(7, 1), failed("field 7 has wire type 0, not 2")},
      {Field(5, "\x1A\x05\x01"), failed("end of buffer exception")},
      {Field(5, Field(3, "\x80")), failed("end of buffer exception")},
      {FromHex(kRawRequest).substr(0, 40), failed("end of buffer exception")},
  };
  for (const ProtoRefusal& refusal : refusals) ExpectRefused(refusal);
}

TEST_F(InferProtoTest, EveryBeginningOfAMessageIsARequestOrRefused) {
  const std::string message = FromHex(kRawRequest);
  for (size_t size = 0; size < message.size(); ++size) {
    const Result<InferRequest> infer = Parse(message.substr(0, size));
    EXPECT_TRUE(infer.ok() || infer.status().code() == Code::kInvalidArgument) << size;
  }
  EXPECT_EQ(model_.gate().inside(), 0U);
}

TEST(PeekInferTargetTest, SaysWhomARequestIsFor) {
  const std::string message = Concat(Field(1, "old"), Field(2, "3"), Input("IN0", "UINT8", {1}),
                                     Field(3, "me"), Raw("abc"), Field(1, "m"));
  const Result<InferTarget> target = PeekInferTarget(AsBytes(message));
  ASSERT_TRUE(target.ok()) << target.status().message();
  EXPECT_EQ(target->model, "m") << "what stands last counts";
  EXPECT_EQ(target->version, "3");
  EXPECT_EQ(target->id, "me");
  const Result<InferTarget> nobody = PeekInferTarget({});
  ASSERT_TRUE(nobody.ok());
  EXPECT_TRUE(nobody->model.empty() && nobody->version.empty() && nobody->id.empty());
}

TEST(PeekInferTargetTest, RefusesMessagesThatAreNone) {
  const std::pair<std::string, std::string_view> refusals[] = {
      {"\x0A\x05m", "end of buffer exception"},
      {Varint(1, 1), "field 1 has wire type 0, not 2"},
      {Field(1, "\xFF"), "field 1 is not UTF-8"},
      {Varint(2, 1), "field 2 has wire type 0, not 2"},
      {Field(2, "\xFF"), "field 2 is not UTF-8"},
      {Field(3, "\xFF"), "field 3 is not UTF-8"},
      {Field(1, "m") + "\x3A\x05", "end of buffer exception"}};
  for (const auto& [message, why] : refusals) {
    const Status status = PeekInferTarget(AsBytes(message)).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_EQ(status.message(), Concat("failed to parse ModelInferRequest: ", why));
  }
}

TEST(RawContentsOffsetTest, SaysWhereTheFirstRawInputBegins) {
  const std::string head = Concat(Field(1, "m"), Varint(100, 1), Input("IN0", "UINT8", {300}));
  const std::string message = head + Raw(std::string(300, 'x')) + Raw("second");
  const size_t offset = head.size() + 3;
  for (size_t size = 0; size <= message.size(); ++size) {
    const auto found = RawContentsOffset(AsBytes(message).first(size));
    if (size < offset) {
      EXPECT_FALSE(found) << size;
    } else {
      EXPECT_EQ(found, offset) << size;
    }
  }
}

TEST(RawContentsOffsetTest, SaysNothingOfMessagesWithoutOne) {
  for (const std::string& message :
       {Field(1, "m"), Varint(7, 1), std::string("\x0B\x0C"), Field(5, Raw("x"))}) {
    EXPECT_EQ(RawContentsOffset(AsBytes(message)), std::nullopt);
  }
}

}  // namespace
}  // namespace despina::protocol
