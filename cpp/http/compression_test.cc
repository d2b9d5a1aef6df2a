#include "http/compression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "http/testing/zlib.h"
#include "memory/pool.h"

namespace despina::http {
namespace {

using testing::Compressed;
using testing::Decompressed;
using testing::kGzipForm;
using testing::kRawForm;
using testing::kZlibForm;

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

class DecompressorTest : public ::testing::Test {
 protected:
  // Gives it the bytes, so many at a time; what comes out, or the refusal.
  std::string Run(std::string_view bytes, size_t step = std::string_view::npos) {
    Body body(pool_, budget_);
    Decompressor decompressor(limit_);
    refused_ = 0;
    EXPECT_TRUE(body.Allocate(16, 0).ok());
    std::optional<Refusal> refusal;
    while (!bytes.empty() && !refusal) {
      const std::string_view part = bytes.substr(0, step);
      bytes.remove_prefix(part.size());
      refusal = decompressor.Append(Bytes(part), body);
    }
    if (!refusal) refusal = decompressor.Finish();
    if (!refusal) return Text(body.Take().bytes());
    refused_ = refusal->status;
    return refusal->message;
  }
  void ExpectRefused(std::string_view bytes, int status, std::string_view message) {
    for (const size_t step : {size_t{1}, std::string_view::npos}) {
      const std::string said = Run(bytes, step);
      EXPECT_EQ(refused_, status) << said;
      EXPECT_NE(said.find(message), std::string::npos) << said;
      EXPECT_EQ(budget_.used(), 0U);
      EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
    }
  }

  BufferPool pool_;
  Budget budget_{uint64_t{1} << 30};
  uint64_t limit_ = 1 << 20;
  int refused_ = 0;
};

TEST_F(DecompressorTest, GivesBackWhatWasCompressedHoweverItComes) {
  for (const std::string& text :
       {std::string(), std::string("x"), Noise(1000), Noise(300'000), std::string(1 << 20, 'z')}) {
    for (const int form : {kGzipForm, kZlibForm}) {
      const std::string bytes = Compressed(text, form);
      for (const size_t step : {size_t{1}, size_t{7}, size_t{16384}, std::string_view::npos}) {
        EXPECT_EQ(Run(bytes, step), text);
        EXPECT_EQ(refused_, 0);
      }
    }
  }
}

TEST_F(DecompressorTest, RefusesWhatIsNotCompressed) {
  ExpectRefused("{\"inputs\":[]}", 400,
                "the request's body cannot be decompressed: incorrect header");
  ExpectRefused(Compressed("text", kRawForm), 400, "cannot be decompressed");
}

TEST_F(DecompressorTest, RefusesAStreamThatIsBroken) {
  std::string bytes = Compressed(Noise(1000));
  bytes[bytes.size() - 8] ^= 1;
  ExpectRefused(bytes, 400, "cannot be decompressed: incorrect data check");
  bytes = Compressed(Noise(1000));
  bytes[bytes.size() / 2] ^= 0x55;
  Run(bytes);
  EXPECT_EQ(refused_, 400);
}

TEST_F(DecompressorTest, RefusesAStreamThatNeedsADictionary) {
  z_stream stream{};
  ASSERT_EQ(deflateInit(&stream, 6), Z_OK);
  const std::string words = "inputs outputs datatype";
  deflateSetDictionary(&stream, reinterpret_cast<const Bytef*>(words.data()), 23);
  std::string out(200, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(words.data()));
  stream.avail_in = 23;
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = 200;
  ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  ExpectRefused(out, 400, "compressed with a dictionary");
}

TEST_F(DecompressorTest, RefusesAStreamThatEndsEarly) {
  const std::string bytes = Compressed(Noise(1000));
  for (const size_t left : {size_t{1}, size_t{10}, bytes.size() / 2, bytes.size() - 1}) {
    ExpectRefused(bytes.substr(0, left), 400, "ends before its compressed data do");
  }
  ExpectRefused("", 400, "nothing to be decompressed");
}

TEST_F(DecompressorTest, RefusesWhatFollowsTheStream) {
  const std::string bytes = Compressed("text");
  ExpectRefused(bytes + "x", 400, "bytes behind its compressed data");
  ExpectRefused(bytes + bytes, 400, "bytes behind its compressed data");
}

TEST_F(DecompressorTest, DoesNotLookIntoWhatItHasDecompressed) {
  const std::string inner = Compressed("text");
  EXPECT_EQ(Run(Compressed(inner)), inner);
}

TEST_F(DecompressorTest, RefusesMoreThanTheLimit) {
  for (const uint64_t limit : {uint64_t{0}, uint64_t{1}, uint64_t{1000}, uint64_t{65536}}) {
    limit_ = limit;
    const std::string fits(limit, 'a');
    EXPECT_EQ(Run(Compressed(fits)), fits);
    EXPECT_EQ(Run(Compressed(fits), 1), fits);
    EXPECT_EQ(refused_, 0);
    ExpectRefused(Compressed(fits + "a"), 413, "larger than the limit of ");
  }
}

TEST_F(DecompressorTest, StopsABombWithinItsLimit) {
  limit_ = 100'000;
  const std::string bomb = Compressed(std::string(50 << 20, '\0'));
  ExpectRefused(bomb, 413, "larger than the limit of 100000 bytes once it is decompressed");
  EXPECT_LT(pool_.statistics().bytes_cached, 1U << 20);
}

TEST_F(DecompressorTest, ChargesWhatComesOut) {
  Body body(pool_, budget_);
  Decompressor decompressor(limit_);
  ASSERT_TRUE(body.Allocate(16, 0).ok());
  const std::string bytes = Compressed(std::string(500'000, 'a'));
  ASSERT_FALSE(decompressor.Append(Bytes(bytes), body));
  EXPECT_EQ(budget_.used(), 500'000U);
  body.Release();
  EXPECT_EQ(budget_.used(), 0U);
}

TEST_F(DecompressorTest, RefusesWhatTheBudgetDoesNotHold) {
  Budget small(100'000);
  Body body(pool_, small);
  Decompressor decompressor(limit_);
  ASSERT_TRUE(body.Allocate(16, 0).ok());
  const std::string bytes = Compressed(std::string(500'000, 'a'));
  const std::optional<Refusal> refusal = decompressor.Append(Bytes(bytes), body);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->status, 503);
  EXPECT_NE(refusal->message.find("try again later"), std::string::npos) << refusal->message;
  EXPECT_LE(small.used(), 100'000U);

  Budget none(1000);
  Body other(pool_, none);
  ASSERT_TRUE(other.Allocate(16, 0).ok());
  Decompressor unused(limit_);
  EXPECT_EQ(unused.Append(Bytes(bytes), other)->status, 503) << "its own memory counts";
}

TEST_F(DecompressorTest, RefusesWhatTheMemoryDoesNotHold) {
  BufferPool small({.max_bytes_in_use = 65536});
  Body body(small, budget_);
  Decompressor decompressor(limit_);
  ASSERT_TRUE(body.Allocate(16, 0).ok());
  const std::optional<Refusal> refusal =
      decompressor.Append(Bytes(Compressed(std::string(500'000, 'a'))), body);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->status, 503);
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
