#include "grpc/health.h"

#include <gtest/gtest.h>

#include "grpc/testing/service_fixture.h"

namespace despina::grpc {
namespace {

using testing::Framed;

class HealthTest : public testing::ServiceTest {
 protected:
  static constexpr const char* kWatch = "/grpc.health.v1.Health/Watch";

  void SetReady(bool ready) { snapshot_.Publish(frontend::testing::SnapshotOf({now_}, ready)); }
};

TEST_F(HealthTest, AWatchTellsEachChange) {
  Open();
  const int32_t id = Start(kWatch, Framed(""));
  Turn();
  EXPECT_EQ(answered_[id].body, Framed("\x08\x01"));
  SetReady(false);
  LookAll(service_);
  LookAll(service_);
  Turn();
  EXPECT_EQ(answered_[id].body, Framed("\x08\x01") + Framed("\x08\x02"));
  EXPECT_FALSE(answered_[id].closed);
}

TEST_F(HealthTest, AServiceThatIsUnknownIsWatchedToo) {
  Open();
  const int32_t id = Start(kWatch, Framed("\x0a\x02no"));
  Turn();
  SetReady(false);
  LookAll(service_);
  Turn();
  EXPECT_EQ(answered_[id].body, Framed("\x08\x03"));
}

}  // namespace
}  // namespace despina::grpc
