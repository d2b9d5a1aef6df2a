// Load for tests, up to its end.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <utility>

#include "load/generator.h"

namespace despina::load::testing {

template <typename Target>
Figures Measure(const Plan& plan, size_t lanes, Target target, size_t threads = 1) {
  auto started = Generator::Start(plan, lanes, threads, std::move(target));
  EXPECT_TRUE(started.ok()) << started.status().message();
  EXPECT_TRUE((*started)->Wait(std::chrono::seconds(60)));
  return (*started)->Finish();
}

}  // namespace despina::load::testing
