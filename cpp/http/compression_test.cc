#include "http/compression.h"

#include <gtest/gtest.h>

#include <string_view>
#include <utility>
#include <vector>

namespace despina::http {
namespace {

TEST(ContentEncodingTest, IsOneOfThoseThatAreSupported) {
  EXPECT_EQ(ParseContentEncoding(""), Coding::kIdentity);
  EXPECT_EQ(ParseContentEncoding("gzip"), Coding::kGzip);
  EXPECT_EQ(ParseContentEncoding("GZip"), Coding::kGzip);
  EXPECT_EQ(ParseContentEncoding("deflate"), Coding::kDeflate);
  for (const std::string_view other :
       {"br", "gzip, gzip", "gzip, identity", "x-gzip", "gzipx", ","}) {
    EXPECT_FALSE(ParseContentEncoding(other)) << other;
  }
}

// Each as the incumbent answers it.
TEST(AcceptEncodingTest, TheGreatestWeightWinsAndThenTheFirst) {
  const std::vector<std::pair<std::string_view, Coding>> cases = {
      {"", Coding::kIdentity},
      {",", Coding::kIdentity},
      {"gzip", Coding::kGzip},
      {"deflate", Coding::kDeflate},
      {"gzip, deflate", Coding::kGzip},
      {"deflate, gzip", Coding::kDeflate},
      {"gzip,,deflate", Coding::kGzip},
      {"gzip;q=0.5, deflate;q=0.8", Coding::kDeflate},
      {"gzip;q=0.8,deflate;q=0.5", Coding::kGzip},
      {"deflate;q=0.5,gzip;q=0.5", Coding::kDeflate},
      {"gzip;q=0.5,identity;q=0.8", Coding::kIdentity},
      {"gzip;q=0.8,identity;q=0.5", Coding::kGzip},
      {"identity,gzip", Coding::kIdentity},
      {"gzip,identity", Coding::kGzip},
      {"*", Coding::kIdentity},
      {"*, gzip;q=0.1", Coding::kGzip},
      {"gzip;q=0.1,*;q=1", Coding::kGzip},
      {"identity;q=0", Coding::kIdentity},
      {"identity;q=0.5, *;q=0", Coding::kIdentity},
      {"br", Coding::kIdentity},
      {"br, gzip", Coding::kGzip},
      {"x-gzip", Coding::kIdentity},
      {"gzip;q=0", Coding::kIdentity},
      {"gzip;q=0,deflate;q=0.1", Coding::kDeflate},
      {"gzip;q=0,gzip;q=0.7", Coding::kGzip},
      {"gzip;q=0.001", Coding::kGzip},
      {"gzip;q=-1", Coding::kIdentity},
      {"gzip;q=", Coding::kIdentity},
      {"gzip;q=abc", Coding::kIdentity},
      {"gzip;foo=1", Coding::kIdentity},
      {"gzip;level=1;q=0.3, deflate;q=0.4", Coding::kDeflate},
      {"gzip;q=0.5;x=1", Coding::kGzip},
      {"gzip q=0.5", Coding::kIdentity},
      {"gzip=1", Coding::kIdentity},
  };
  for (const auto& [value, coding] : cases) EXPECT_EQ(PreferredCoding(value), coding) << value;
}

TEST(AcceptEncodingTest, NeitherBlanksNorCapitalsMatter) {
  EXPECT_EQ(PreferredCoding(" GZIP ; Q=0.5 ,\tdeflate ; q=0.4"), Coding::kGzip);
}

}  // namespace
}  // namespace despina::http
