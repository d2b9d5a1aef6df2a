#include "grpc/metadata.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace despina::grpc {
namespace {

using namespace std::chrono_literals;

TEST(TimeoutTest, IsANumberAndAUnit) {
  EXPECT_EQ(ParseTimeout("1H"), 1h);
  EXPECT_EQ(ParseTimeout("2M"), 2min);
  EXPECT_EQ(ParseTimeout("3S"), 3s);
  EXPECT_EQ(ParseTimeout("4m"), 4ms);
  EXPECT_EQ(ParseTimeout("5u"), 5us);
  EXPECT_EQ(ParseTimeout("6n"), 6ns);
  EXPECT_EQ(ParseTimeout("0n"), 0ns);
  EXPECT_EQ(ParseTimeout("99999999S"), 99999999s);
}

TEST(TimeoutTest, WhatIsLongerThanTimeIsAllOfIt) {
  EXPECT_EQ(ParseTimeout("99999999H"), Duration::max());
}

TEST(TimeoutTest, NothingElseIsOne) {
  for (const char* const text : {"", "S", "1", "1s", "1h", "-1S", "+1S", " 1S", "1 S", "1.5S",
                                 "123456789S", "0x1S", "1SS"}) {
    EXPECT_FALSE(ParseTimeout(text)) << text;
  }
}

TEST(ContentTypeTest, IsThatOfGrpcWithProtocolBuffers) {
  for (const char* const type : {"application/grpc", "application/grpc+proto",
                                 "application/grpc;charset=utf-8", "application/grpc+proto;x"}) {
    EXPECT_TRUE(IsGrpc(type)) << type;
  }
  for (const char* const type : {"", "application/json", "application/grpc+json",
                                 "application/grpc-web", "application/grpcx", "Application/grpc"}) {
    EXPECT_FALSE(IsGrpc(type)) << type;
  }
}

TEST(PercentEncodingTest, IsNoLongerThanClientsTake) {
  EXPECT_EQ(PercentEncoded(std::string(100'000, 'x')), std::string(4096, 'x') + "...");
  EXPECT_LT(PercentEncoded(std::string(100'000, '%')).size(), 4200U);
}

TEST(PercentEncodingTest, KeepsPrintableLettersAndNothingElse) {
  EXPECT_EQ(PercentEncoded(""), "");
  EXPECT_EQ(PercentEncoded("model 'a~b' is (not) there: \"x\""),
            "model 'a~b' is (not) there: \"x\"");
  EXPECT_EQ(PercentEncoded("100%"), "100%25");
  EXPECT_EQ(PercentEncoded("a\r\nb\tc"), "a%0D%0Ab%09c");
  EXPECT_EQ(PercentEncoded("\x7f\xe2\x82\xac"), "%7F%E2%82%AC");
  EXPECT_EQ(PercentEncoded(std::string_view("\0", 1)), "%00");
}

TEST(AcceptEncodingTest, GzipIsLikedMost) {
  using frontend::Coding;
  const std::vector<std::pair<std::string_view, Coding>> cases = {
      {"identity,deflate,gzip", Coding::kGzip},
      {"gzip, deflate", Coding::kGzip},
      {" deflate , identity\t", Coding::kDeflate},
      {"identity", Coding::kIdentity},
      {"", Coding::kIdentity},
      {",,", Coding::kIdentity},
      {"br,  , zstd", Coding::kIdentity},
      {"br, gzip", Coding::kGzip},
      {"gzipx", Coding::kIdentity},
  };
  for (const auto& [value, coding] : cases) EXPECT_EQ(AnswersCoding(value), coding) << value;
}

}  // namespace
}  // namespace despina::grpc
