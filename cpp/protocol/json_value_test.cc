#include "protocol/json_value.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <thread>

#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

TEST(JsonParserTest, ParsesOneDocumentAfterTheOther) {
  JsonParser parser;
  for (const size_t size : {size_t{1}, size_t{8} << 20, size_t{100'000}, size_t{9} << 20}) {
    const std::string text = "{\"a\":\"" + std::string(size, 'x') + "\"}";
    const Result<JsonObject> object = parser.Parse(BodyOf(text));
    ASSERT_TRUE(object.ok()) << object.status().message();
    EXPECT_EQ(object->size(), 1U);
  }
}

TEST(JsonParserTest, ABodyOfNothingIsRefusedBeforeItsNullPointerIsCopied) {
  const Result<JsonObject> object = JsonParser().Parse(Slice());
  ASSERT_FALSE(object.ok());
  EXPECT_EQ(object.status().code(), Code::kInvalidArgument);
}

TEST(JsonParserTest, TakesIntegersBeyond64Bits) {
  JsonParser parser;
  const Result<JsonObject> object =
      parser.Parse(BodyOf(R"({"a":100000000000000000000,"b":"-1","c":-36893488147419103232})"));
  ASSERT_TRUE(object.ok()) << object.status().message();
  EXPECT_EQ(object->at_key("a").get_double().value(), 1e20);
  EXPECT_EQ(object->at_key("c").get_double().value(), -0x1p65);
  EXPECT_EQ(object->at_key("a").get_uint64().error(), simdjson::INCORRECT_TYPE);
}

TEST(JsonParserTest, NumbersBeyondADoubleAreRefusedHoweverTheyAreWritten) {
  for (const std::string& number : {std::string("1e400"), std::string(400, '9')}) {
    EXPECT_FALSE(JsonParser().Parse(BodyOf("{\"a\":" + number + "}")).ok());
  }
}

TEST(JsonParserTest, LeavesADocumentAloneWhileAnotherIsParsed) {
  JsonParser outer;
  const Result<JsonObject> first = outer.Parse(BodyOf(R"({"a":1})"));
  {
    JsonParser inner;
    ASSERT_TRUE(inner.Parse(BodyOf(R"({"b":{"c":2}})")).ok());
  }
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->at_key("a").get_int64().value(), 1);
}

TEST(JsonParserTest, WorksOnEveryThread) {
  std::optional<bool> parsed;
  std::thread([&] { parsed = JsonParser().Parse(BodyOf("{}")).ok(); }).join();
  EXPECT_EQ(parsed, true);
}

TEST(JsonPaddingTest, IsWhatTheBufferHasBehindTheText) {
  Slice body = BodyOf("{}", "tensors");
  EXPECT_TRUE(HasJsonPadding(body));
  EXPECT_TRUE(HasJsonPadding(body.Part(0, 2)));
  EXPECT_FALSE(HasJsonPadding(Slice(body.buffer())));
  EXPECT_FALSE(HasJsonPadding(Slice()));
}

TEST(FindMembersTest, FindsWhatIsThereAndPassesOverTheRest) {
  JsonParser parser;
  const Result<JsonObject> object = parser.Parse(BodyOf(R"({"x":[],"b":2,"y":{"a":1},"x":0})"));
  ASSERT_TRUE(object.ok());
  constexpr std::array<std::string_view, 2> kNames = {"a", "b"};
  std::array<std::optional<JsonValue>, 2> found;
  ASSERT_TRUE(FindMembers(*object, kNames, found).ok());
  EXPECT_FALSE(found[0]);
  EXPECT_EQ(*AsUnsigned("b", *found[1]), 2U);
}

}  // namespace
}  // namespace despina::protocol
