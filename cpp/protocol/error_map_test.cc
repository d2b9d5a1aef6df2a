#include "protocol/error_map.h"

#include <gtest/gtest.h>

#include <utility>

namespace despina::protocol {
namespace {

TEST(ErrorMapTest, GivesEveryCodeAStatus) {
  for (const auto& [code, status] :
       {std::pair{Code::kOk, 200}, std::pair{Code::kCancelled, 400}, std::pair{Code::kUnknown, 400},
        std::pair{Code::kInvalidArgument, 400}, std::pair{Code::kDeadlineExceeded, 503},
        std::pair{Code::kNotFound, 404}, std::pair{Code::kAlreadyExists, 400},
        std::pair{Code::kResourceExhausted, 503}, std::pair{Code::kFailedPrecondition, 400},
        std::pair{Code::kUnimplemented, 501}, std::pair{Code::kInternal, 500},
        std::pair{Code::kUnavailable, 503}}) {
    EXPECT_EQ(HttpStatus(code), status) << CodeName(code);
  }
  EXPECT_EQ(HttpStatus(static_cast<Code>(99)), 500);
}

TEST(ErrorMapTest, EscapesTheMessage) {
  EXPECT_EQ(ErrorJson("plain"), R"({"error":"plain"})");
  EXPECT_EQ(ErrorJson("a \"b\"\\\r\n\x1b[0m\t"), R"({"error":"a \"b\"\\\r\n\u001b[0m\t"})");
  EXPECT_EQ(ErrorJson(std::string_view("\0", 1)), R"({"error":"\u0000"})");
  EXPECT_EQ(ErrorJson("\xC3\xA9"), "{\"error\":\"\xC3\xA9\"}");
  EXPECT_EQ(ErrorJson(""), R"({"error":""})");
}

TEST(ErrorMapTest, StaysUtf8WhateverTheMessageHolds) {
  EXPECT_EQ(ErrorJson("a\xFF\""), "{\"error\":\"a\xEF\xBF\xBD\\\"\"}");
  EXPECT_EQ(ErrorJson("\xC3"), "{\"error\":\"\xEF\xBF\xBD\"}");
}

}  // namespace
}  // namespace despina::protocol
