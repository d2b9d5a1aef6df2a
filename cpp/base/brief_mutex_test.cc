#include "base/brief_mutex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

namespace despina {
namespace {

TEST(BriefMutexTest, OneAtATime) {
  BriefMutex mutex;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int each = 0; each < 10'000; ++each) {
        const std::lock_guard lock(mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 40'000);
}

TEST(BriefMutexTest, WaitsAlsoForAHolderThatSleeps) {
  BriefMutex mutex;
  bool done = false;
  mutex.lock();
  EXPECT_FALSE(mutex.try_lock());
  std::thread other([&] {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(done);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  done = true;
  mutex.unlock();
  other.join();
}

}  // namespace
}  // namespace despina
