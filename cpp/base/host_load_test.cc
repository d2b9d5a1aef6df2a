#include "base/host_load.h"

#include <gtest/gtest.h>

#include <chrono>

namespace despina {
namespace {

TEST(HostLoadTest, AddsUpTheTicksOfAllProcessors) {
  const auto ticks = ParseCpuTicks("cpu  10 2 3 80 5 1 1 1 7 7\ncpu0 1 1 1 1 1 1 1 1\n");
  ASSERT_TRUE(ticks);
  EXPECT_EQ(ticks->all, 103U);
  EXPECT_EQ(ticks->busy, 18U);
}

TEST(HostLoadTest, TakesTheShorterLineOfAnOldKernel) {
  const auto ticks = ParseCpuTicks("cpu  10 0 0 90\n");
  ASSERT_TRUE(ticks);
  EXPECT_EQ(ticks->all, 100U);
  EXPECT_EQ(ticks->busy, 10U);
}

TEST(HostLoadTest, GivesNothingWithoutTheLine) {
  EXPECT_FALSE(ParseCpuTicks(""));
  EXPECT_FALSE(ParseCpuTicks("cpu0 1 2 3 4\n"));
  EXPECT_FALSE(ParseCpuTicks("cpu  1 2\n"));
}

TEST(HostLoadTest, MemoryInUseIsWhatIsNotAvailable) {
  const auto memory = ParseMemory("MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:  60 kB\n");
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->total_bytes, 100U * 1024);
  EXPECT_EQ(memory->used_bytes, 40U * 1024);
  EXPECT_FALSE(ParseMemory("MemTotal: 100 kB\n"));
  EXPECT_FALSE(ParseMemory("MemTotal: 1 kB\nMemAvailable: 2 kB\n"));
}

TEST(HostLoadTest, IsReadAtMostOnceInAnInterval) {
  ManualClock clock;
  HostLoadMeter meter(clock, std::chrono::hours(1));
  const auto first = meter.Read();
  ASSERT_TRUE(first);
  EXPECT_GT(first->memory.total_bytes, first->memory.used_bytes);
  EXPECT_GE(first->cpu_utilization, 0);
  EXPECT_LE(first->cpu_utilization, 1);
  const auto again = meter.Read();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->cpu_utilization, first->cpu_utilization);
  EXPECT_EQ(again->memory.used_bytes, first->memory.used_bytes);
}

}  // namespace
}  // namespace despina
