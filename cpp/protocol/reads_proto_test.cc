#include "protocol/reads_proto.h"

#include <gtest/gtest.h>

#include <string>

#include "protocol/proto_test_support.h"

namespace despina::protocol {
namespace {

constexpr std::string_view kQuery = "ModelMetadataRequest";

TEST(ReadsProtoTest, AQueryNamesAModelAndPerhapsAVersion) {
  const std::string bytes = BytesField(1, "m\xC3\xA9") + BytesField(2, "12");
  const auto query = ParseModelQuery(kQuery, bytes);
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(query->model, "m\xC3\xA9");
  EXPECT_EQ(query->version, 12);

  const auto empty = ParseModelQuery(kQuery, {});
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->model, "");
  EXPECT_EQ(empty->version, std::nullopt);
}

TEST(ReadsProtoTest, OfAFieldThatIsThereTwiceTheLastCounts) {
  const std::string bytes = BytesField(1, "a") + BytesField(1, "b");
  EXPECT_EQ(ParseModelQuery(kQuery, bytes)->model, "b");
}

TEST(ReadsProtoTest, FieldsThatAreNotKnownArePassedOver) {
  const std::string bytes = NumberField(9, 1) + BytesField(1, "m") + BytesField(10, "x");
  EXPECT_EQ(ParseModelQuery(kQuery, bytes)->model, "m");
  EXPECT_TRUE(ParseEmptyProto("ServerLiveRequest", bytes).ok());
  EXPECT_TRUE(*ParseIndexQuery(NumberField(9, 1) + NumberField(2, 1)));
}

TEST(ReadsProtoTest, AVersionIsANumberInDigits) {
  for (const std::string_view text : {"x", "-1", " 1", "1x", "+1", "99999999999999999999"}) {
    const std::string bytes = BytesField(2, text);
    const auto query = ParseModelQuery(kQuery, bytes);
    ASSERT_FALSE(query.ok()) << text;
    EXPECT_EQ(query.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(query.status().message(),
              "failed to get model version from specified version string '" + std::string(text) +
                  "', version should be an integral value > 0");
  }
  EXPECT_EQ(ParseModelQuery(kQuery, BytesField(2, "01"))->version, 1);
  // No model has it: whoever looks it up says so.
  EXPECT_EQ(ParseModelQuery(kQuery, BytesField(2, "0"))->version, 0);
}

TEST(ReadsProtoTest, AnIndexMayBeOfWhatIsReady) {
  EXPECT_FALSE(*ParseIndexQuery({}));
  EXPECT_FALSE(*ParseIndexQuery(NumberField(2, 0)));
  EXPECT_TRUE(*ParseIndexQuery(NumberField(2, 1)));
}

TEST(ReadsProtoTest, RepositoriesHaveNoNames) {
  const Status status = ParseIndexQuery(BytesField(1, "r")).status();
  EXPECT_EQ(status.code(), Code::kUnimplemented);
  EXPECT_EQ(status.message(), "'repository_name' specification is not supported");
}

TEST(ReadsProtoTest, WhatIsNoMessageIsRefused) {
  const std::string_view broken[] = {
      "\x0A",                                              // a length is missing
      "\x0A\x05m",                                         // cut off
      "\x0A\xFF\xFF\xFF\xFF\x0F",                          // longer than anything
      "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",  // a length that is no number
      "\x10",                                              // a number is missing
      "\x02m",                                             // field 0
      "\x0B\x0C",                                          // a group
      "\x0F",                                              // a type that there is not
      "\x0D\x01",                                          // four bytes, of which there is one
      "\x0A\x02\xC3(",                                     // not UTF-8
      "\x08\x01",                                          // a number in place of a text
  };
  for (const std::string_view bytes : broken) {
    const auto query = ParseModelQuery(kQuery, bytes);
    ASSERT_FALSE(query.ok()) << ::testing::PrintToString(bytes);
    EXPECT_EQ(query.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(query.status().message().find("failed to parse ModelMetadataRequest: "), 0U)
        << query.status().message();
    EXPECT_FALSE(ParseIndexQuery(bytes).ok()) << ::testing::PrintToString(bytes);
  }
  EXPECT_EQ(ParseEmptyProto("ServerLiveRequest", "\x0A\x05m").code(), Code::kInvalidArgument);
}

TEST(ReadsProtoTest, FalseIsAnEmptyMessage) {
  EXPECT_EQ(YesOrNoProto(false), "");
  EXPECT_EQ(YesOrNoProto(true), NumberField(1, 1));
}

}  // namespace
}  // namespace despina::protocol
