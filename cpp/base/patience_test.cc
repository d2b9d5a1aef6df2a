#include "base/patience.h"

#include <gtest/gtest.h>

#include <thread>

namespace despina {
namespace {

TEST(PatienceTest, LooksAgainAsLongAsLooksFindSomething) {
  Patience patience;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(patience.Worthwhile());
    patience.Learn(i % Patience::kVain == 0);
  }
}

TEST(PatienceTest, GivesUpAfterLooksInVainAndTriesNowAndThen) {
  Patience patience;
  uint32_t looks = 0;
  for (uint32_t i = 0; i < Patience::kVain + 10 * Patience::kSkips; ++i) {
    if (!patience.Worthwhile()) continue;
    ++looks;
    patience.Learn(false);
  }
  EXPECT_EQ(looks, Patience::kVain + 10);
}

TEST(PatienceTest, IsAsPatientAsBeforeOnceALookHasFoundSomething) {
  Patience patience;
  while (patience.Worthwhile()) patience.Learn(false);
  while (!patience.Worthwhile()) {
  }
  patience.Learn(true);
  for (uint32_t i = 0; i < Patience::kVain; ++i) {
    EXPECT_TRUE(patience.Worthwhile());
    patience.Learn(false);
  }
  EXPECT_FALSE(patience.Worthwhile());
}

TEST(PatienceTest, ALookEndsWhetherTheFlagIsSetOrNot) {
  std::atomic<bool> flag = false;
  Patience::Look(flag);
  std::thread other([&] { flag = true; });
  while (!flag) Patience::Look(flag);
  other.join();
}

}  // namespace
}  // namespace despina
