#include "protocol/health_proto.h"

#include <gtest/gtest.h>

#include <string>

#include "protocol/proto_test_support.h"

namespace despina::protocol {
namespace {

TEST(HealthProtoTest, ReadsTheService) {
  EXPECT_EQ(*ParseHealthCheck({}), "");
  const std::string bytes = NumberField(2, 1) + BytesField(1, "inference.GRPCInferenceService");
  EXPECT_EQ(*ParseHealthCheck(bytes), "inference.GRPCInferenceService");
}

TEST(HealthProtoTest, RefusesWhatIsNoMessage) {
  for (const std::string_view bytes : {"\x0A\x05m", "\x0A\x01\xFF", "\x0A"}) {
    const Status status = ParseHealthCheck(bytes).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_EQ(status.message().find("failed to parse HealthCheckRequest: "), 0U);
  }
}

TEST(HealthProtoTest, AnswersWithAStatus) {
  EXPECT_EQ(HealthCheckProto(ServingStatus::kUnknown), "");
  EXPECT_EQ(HealthCheckProto(ServingStatus::kServing), NumberField(1, 1));
  EXPECT_EQ(HealthCheckProto(ServingStatus::kNotServing), NumberField(1, 2));
  EXPECT_EQ(HealthCheckProto(ServingStatus::kServiceUnknown), NumberField(1, 3));
}

}  // namespace
}  // namespace despina::protocol
