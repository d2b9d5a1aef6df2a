#include "http/compression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "frontend/testing/zlib.h"
#include "memory/pool.h"

namespace despina::http {
namespace {

using frontend::testing::Decompressed;
using frontend::testing::kZlibForm;

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Compresses to about half its size.
std::string Noise(size_t size) {
  std::mt19937 random(7);
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>('a' + random() % 16);
  return text;
}

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

class CompressorTest : public ::testing::Test {
 protected:
  // An answer with a text and some slices, and what they are together.
  Answer Make(const std::vector<size_t>& sizes, std::string& all, bool with_text = true) {
    Answer answer;
    if (with_text) answer.text = "text ";
    all = answer.text;
    const std::string noise = Noise(*std::ranges::max_element(sizes));
    for (const size_t size : sizes) {
      Buffer buffer = *pool_.Allocate(size);
      std::ranges::copy(Bytes(noise).first(size), buffer.writable().begin());
      answer.slices.emplace_back(std::move(buffer));
      all += noise.substr(0, size);
    }
    return answer;
  }
  static std::string Body(const Answer& answer) {
    std::string body = answer.text;
    for (const Slice& slice : answer.slices) body += Text(slice.bytes());
    return body;
  }

  BufferPool pool_;
};

TEST_F(CompressorTest, CompressesTextAndSlicesAsOneBody) {
  for (const bool with_text : {true, false}) {
    for (const std::vector<size_t>& sizes :
         {std::vector<size_t>{0}, {1}, {0, 100, 0}, {65536}, {300'000, 10, 300'000}}) {
      std::string all;
      Answer answer = Make(sizes, all, with_text);
      answer.json_size = 5;
      Compressor compressor(std::move(answer), Coding::kGzip, pool_);
      EXPECT_TRUE(compressor.Continue(1 << 30));
      const Answer made = compressor.Take();
      EXPECT_EQ(Decompressed(Body(made)), all);
      EXPECT_EQ(made.fields, "Content-Encoding: gzip\r\n");
      EXPECT_EQ(made.json_size, 5U);
    }
  }
}

TEST_F(CompressorTest, SpeaksDeflateInItsZlibForm) {
  std::string all;
  Compressor compressor(Make({1000}, all), Coding::kDeflate, pool_);
  EXPECT_TRUE(compressor.Continue(1 << 30));
  const Answer made = compressor.Take();
  EXPECT_EQ(Decompressed(Body(made), kZlibForm), all);
  EXPECT_EQ(made.fields, "Content-Encoding: deflate\r\n");
}

TEST_F(CompressorTest, DoesAPartAtATime) {
  std::string all;
  Compressor compressor(Make({300'000, 300'000}, all), Coding::kGzip, pool_);
  int parts = 1;
  while (!compressor.Continue(100'000)) ++parts;
  EXPECT_EQ(parts, 7) << "600 005 bytes";
  EXPECT_EQ(Decompressed(Body(compressor.Take())), all);
}

TEST_F(CompressorTest, LeavesTheAnswerAsItWasWhereThereIsNoMemory) {
  std::string all;
  Answer answer = Make({300'000}, all);
  BufferPool small({.max_bytes_in_use = 65536});
  Compressor compressor(std::move(answer), Coding::kGzip, small);
  EXPECT_TRUE(compressor.Continue(1 << 30));
  const Answer made = compressor.Take();
  EXPECT_EQ(Body(made), all);
  EXPECT_EQ(made.fields, "");
}

}  // namespace
}  // namespace despina::http
