#include "frontend/decompressor.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>

#include "frontend/testing/zlib.h"
#include "memory/pool.h"

namespace despina::frontend {
namespace {

using testing::Compressed;
using testing::kGzipForm;
using testing::kRawForm;
using testing::kZlibForm;
using Reason = Refusal::Reason;

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

class DecompressorTest : public ::testing::Test {
 protected:
  // Gives it the bytes, so many at a time; what comes out, or the refusal.
  std::string Run(std::string_view bytes, size_t step = std::string_view::npos) {
    Body body(pool_, budget_);
    Decompressor decompressor(limit_);
    refused_.reset();
    EXPECT_TRUE(body.Allocate(16, 0).ok());
    std::optional<Refusal> refusal;
    while (!bytes.empty() && !refusal) {
      const std::string_view part = bytes.substr(0, step);
      bytes.remove_prefix(part.size());
      refusal = decompressor.Append(Bytes(part), body);
    }
    if (!refusal) refusal = decompressor.Finish();
    if (!refusal) return Text(body.Take().bytes());
    refused_ = refusal->reason;
    return refusal->message;
  }
  void ExpectRefused(std::string_view bytes, Reason reason, std::string_view message) {
    for (const size_t step : {size_t{1}, std::string_view::npos}) {
      const std::string said = Run(bytes, step);
      EXPECT_EQ(refused_, reason) << said;
      EXPECT_NE(said.find(message), std::string::npos) << said;
      EXPECT_EQ(budget_.used(), 0U);
      EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
    }
  }

  BufferPool pool_;
  Budget budget_{uint64_t{1} << 30};
  uint64_t limit_ = 1 << 20;
  std::optional<Reason> refused_;
};

TEST_F(DecompressorTest, GivesBackWhatWasCompressedHoweverItComes) {
  for (const std::string& text :
       {std::string(), std::string("x"), Noise(1000), Noise(300'000), std::string(1 << 20, 'z')}) {
    for (const int form : {kGzipForm, kZlibForm}) {
      const std::string bytes = Compressed(text, form);
      for (const size_t step : {size_t{1}, size_t{7}, size_t{16384}, std::string_view::npos}) {
        EXPECT_EQ(Run(bytes, step), text);
        EXPECT_FALSE(refused_);
      }
    }
  }
}

TEST_F(DecompressorTest, RefusesWhatIsNotCompressed) {
  ExpectRefused("{\"inputs\":[]}", Reason::kMalformed,
                "the request's body cannot be decompressed: incorrect header");
  ExpectRefused(Compressed("text", kRawForm), Reason::kMalformed, "cannot be decompressed");
}

TEST_F(DecompressorTest, RefusesAStreamThatIsBroken) {
  std::string bytes = Compressed(Noise(1000));
  bytes[bytes.size() - 8] ^= 1;
  ExpectRefused(bytes, Reason::kMalformed, "cannot be decompressed: incorrect data check");
  bytes = Compressed(Noise(1000));
  bytes[bytes.size() / 2] ^= 0x55;
  Run(bytes);
  EXPECT_EQ(refused_, Reason::kMalformed);
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
  ExpectRefused(out, Reason::kMalformed, "compressed with a dictionary");
}

TEST_F(DecompressorTest, RefusesAStreamThatEndsEarly) {
  const std::string bytes = Compressed(Noise(1000));
  for (const size_t left : {size_t{1}, size_t{10}, bytes.size() / 2, bytes.size() - 1}) {
    ExpectRefused(bytes.substr(0, left), Reason::kMalformed, "ends before its compressed data do");
  }
  ExpectRefused("", Reason::kMalformed, "nothing to be decompressed");
}

TEST_F(DecompressorTest, RefusesWhatFollowsTheStream) {
  const std::string bytes = Compressed("text");
  ExpectRefused(bytes + "x", Reason::kMalformed, "bytes behind its compressed data");
  ExpectRefused(bytes + bytes, Reason::kMalformed, "bytes behind its compressed data");
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
    EXPECT_FALSE(refused_);
    ExpectRefused(Compressed(fits + "a"), Reason::kTooLarge, "larger than the limit of ");
  }
}

TEST_F(DecompressorTest, StopsABombWithinItsLimit) {
  limit_ = 100'000;
  const std::string bomb = Compressed(std::string(50 << 20, '\0'));
  ExpectRefused(bomb, Reason::kTooLarge,
                "larger than the limit of 100000 bytes once it is decompressed");
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
  EXPECT_EQ(refusal->reason, Reason::kNoMemory);
  EXPECT_NE(refusal->message.find("try again later"), std::string::npos) << refusal->message;
  EXPECT_LE(small.used(), 100'000U);

  Budget none(1000);
  Body other(pool_, none);
  ASSERT_TRUE(other.Allocate(16, 0).ok());
  Decompressor unused(limit_);
  EXPECT_EQ(unused.Append(Bytes(bytes), other)->reason, Reason::kNoMemory)
      << "its own memory counts";
}

TEST_F(DecompressorTest, RefusesWhatTheMemoryDoesNotHold) {
  BufferPool small({.max_bytes_in_use = 65536});
  Body body(small, budget_);
  Decompressor decompressor(limit_);
  ASSERT_TRUE(body.Allocate(16, 0).ok());
  const std::optional<Refusal> refusal =
      decompressor.Append(Bytes(Compressed(std::string(500'000, 'a'))), body);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->reason, Reason::kNoMemory);
}

}  // namespace
}  // namespace despina::frontend
