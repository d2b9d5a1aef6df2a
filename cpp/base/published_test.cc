#include "base/published.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace despina {
namespace {

TEST(Published, ReaderSeesTheFirstValueAndEachThatFollows) {
  Published<int> source(std::make_shared<const int>(1));
  Published<int>::Reader reader(source);
  EXPECT_EQ(reader.Get(), 1);
  EXPECT_EQ(*source.Get(), 1);
  source.Publish(std::make_shared<const int>(2));
  EXPECT_EQ(reader.Get(), 2);
  EXPECT_EQ(*source.Get(), 2);
}

TEST(Published, WhatAReaderHoldsLivesUntilItLooksAgain) {
  auto first = std::make_shared<const int>(1);
  const std::weak_ptr<const int> watch = first;
  Published<int> source(std::move(first));
  Published<int>::Reader reader(source);
  const int& held = reader.Get();
  source.Publish(std::make_shared<const int>(2));
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(held, 1);
  EXPECT_EQ(reader.Get(), 2);
  EXPECT_TRUE(watch.expired());
}

TEST(Published, ReadersOnOtherThreadsNeverGoBack) {
  constexpr int kLast = 500;
  Published<int> source(std::make_shared<const int>(0));
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&source] {
      Published<int>::Reader reader(source);
      for (int seen = 0; seen < kLast;) {
        const int now = reader.Get();
        ASSERT_GE(now, seen);
        seen = now;
      }
    });
  }
  for (int value = 1; value <= kLast; ++value) {
    source.Publish(std::make_shared<const int>(value));
  }
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace despina
