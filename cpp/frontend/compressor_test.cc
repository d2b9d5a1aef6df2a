#include "frontend/compressor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "frontend/testing/zlib.h"
#include "memory/pool.h"

namespace despina::frontend {
namespace {

using testing::Decompressed;
using testing::kZlibForm;

constexpr size_t kAll = size_t{1} << 40;

class CompressorTest : public ::testing::Test {
 protected:
  // Pieces of these sizes, in all_: what compresses to about half its size.
  std::vector<std::span<const std::byte>> Make(const std::vector<size_t>& sizes) {
    std::mt19937 random(7);
    all_.clear();
    for (const size_t size : sizes) {
      for (size_t i = 0; i < size; ++i) all_ += static_cast<char>('a' + random() % 16);
    }
    std::vector<std::span<const std::byte>> pieces;
    size_t at = 0;
    for (const size_t size : sizes) {
      pieces.push_back(std::as_bytes(std::span(all_).subspan(at, size)));
      at += size;
    }
    return pieces;
  }
  static std::string Taken(Compressor& compressor) {
    std::string text;
    const std::optional<std::vector<Slice>> slices = compressor.Take();
    if (!slices) return "nothing";
    for (const Slice& slice : *slices) {
      text.append(reinterpret_cast<const char*>(slice.data()), slice.size());
    }
    return text;
  }

  BufferPool pool_;
  std::string all_;
};

TEST_F(CompressorTest, CompressesPiecesAsOneText) {
  for (const std::vector<size_t>& sizes : {std::vector<size_t>{},
                                           {0},
                                           {1},
                                           {5, 0, 100, 0},
                                           {0, 100},
                                           {65536},
                                           {300'000, 10, 300'000}}) {
    Compressor compressor(Make(sizes), Coding::kGzip, 1, pool_);
    size_t most = kAll;
    EXPECT_TRUE(compressor.Continue(most));
    EXPECT_EQ(kAll - most, all_.size());
    EXPECT_EQ(Decompressed(Taken(compressor)), all_);
  }
}

TEST_F(CompressorTest, SpeaksDeflateInItsZlibForm) {
  Compressor compressor(Make({1000}), Coding::kDeflate, 1, pool_);
  size_t most = kAll;
  EXPECT_TRUE(compressor.Continue(most));
  EXPECT_EQ(Decompressed(Taken(compressor), kZlibForm), all_);
}

TEST_F(CompressorTest, HigherLevelsMakeLess) {
  std::vector<size_t> sizes;
  for (const int level : {1, 6, 9}) {
    // Words that come again, some of them far away.
    Make({2000});
    std::mt19937 random(7);
    std::string text;
    while (text.size() < 200'000) text += all_.substr(random() % 1990, 10);
    Compressor compressor({std::as_bytes(std::span(text))}, Coding::kGzip, level, pool_);
    size_t most = kAll;
    EXPECT_TRUE(compressor.Continue(most));
    const std::string made = Taken(compressor);
    EXPECT_EQ(Decompressed(made), text);
    sizes.push_back(made.size());
  }
  EXPECT_TRUE(std::ranges::is_sorted(sizes, std::greater())) << sizes[0] << " " << sizes[2];
  EXPECT_GT(sizes.front(), sizes.back());
}

TEST_F(CompressorTest, DoesAPartAtATime) {
  Compressor compressor(Make({5, 300'000, 300'000}), Coding::kGzip, 1, pool_);
  int parts = 1;
  size_t most = 100'000;
  for (; !compressor.Continue(most); ++parts) {
    EXPECT_EQ(most, 0U);
    most = 100'000;
  }
  EXPECT_EQ(parts, 7) << "600 005 bytes";
  EXPECT_EQ(most, 99'995U);
  EXPECT_EQ(Decompressed(Taken(compressor)), all_);
}

TEST_F(CompressorTest, MakesNothingWhereThereIsNoMemory) {
  BufferPool small({.max_bytes_in_use = 65536});
  Compressor compressor(Make({300'000}), Coding::kGzip, 1, small);
  size_t most = kAll;
  EXPECT_TRUE(compressor.Continue(most));
  EXPECT_FALSE(compressor.Take());
}

}  // namespace
}  // namespace despina::frontend
