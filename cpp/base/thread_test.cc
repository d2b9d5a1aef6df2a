#include "base/thread.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <string>
#include <utility>

namespace despina {
namespace {

TEST(Thread, CarriesItsNameCutToWhatTheSystemHolds) {
  std::string name;
  Thread thread("a name that is much too long", [&name] {
    std::array<char, 16> text{};
    pthread_getname_np(pthread_self(), text.data(), text.size());
    name = text.data();
  });
  thread.Join();
  EXPECT_EQ(name, "a name that is ");
}

TEST(Thread, IsJoinedWhenItIsDestroyedReplacedOrAskedTwice) {
  std::atomic<int> ran{0};
  const auto body = [&ran] { ++ran; };
  { const Thread thread("one", body); }
  EXPECT_EQ(ran, 1);
  Thread thread("two", body);
  thread = Thread("three", body);
  EXPECT_GE(ran, 2);
  thread.Join();
  thread.Join();
  EXPECT_EQ(ran, 3);
  EXPECT_FALSE(thread.joinable());
}

}  // namespace
}  // namespace despina
