#include "frontend/access.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace despina::frontend {
namespace {

using With = std::vector<Field>;

TEST(AccessRulesTest, AsksForTheHeaderOfAnApi) {
  AccessRules rules;
  ASSERT_TRUE(rules.Restrict("inference", "Key", "secret").ok());
  ASSERT_TRUE(rules.Restrict("model-config", "Key", "secret").ok());
  ASSERT_TRUE(rules.Restrict("logging", "other-key", "x=y z").ok());
  EXPECT_EQ(rules.Denied(Api::kInference, With{}), "Key");
  EXPECT_EQ(rules.Denied(Api::kInference, With{{"key", "secret"}}), "");
  EXPECT_EQ(rules.Denied(Api::kModelConfiguration, With{{"KEY", "secret"}}), "");
  EXPECT_EQ(rules.Denied(Api::kLogging, With{{"other-key", "x=y z"}}), "");
  EXPECT_EQ(rules.Denied(Api::kLogging, With{{"key", "secret"}}), "other-key");
  EXPECT_EQ(rules.Denied(Api::kHealth, With{}), "");
  EXPECT_EQ(rules.Denied(Api::kMetrics, With{}), "");
}

TEST(AccessRulesTest, TakesNothingButTheWholeValue) {
  AccessRules rules;
  ASSERT_TRUE(rules.Restrict("health", "key", "secret").ok());
  for (const std::string value :
       {"", "s", "secre", "Secret", "secret ", "secrets", "secretsecret"}) {
    EXPECT_EQ(rules.Denied(Api::kHealth, With{{"key", value}}), "key") << value;
  }
  // The first of several counts.
  EXPECT_EQ(rules.Denied(Api::kHealth, With{{"key", "x"}, {"key", "secret"}}), "key");
}

TEST(AccessRulesTest, RefusesWhatItCannotKeep) {
  AccessRules rules;
  const auto refused = [&](std::string_view api, const std::string& header,
                           const std::string& value) {
    const Status status = rules.Restrict(api, header, value);
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    return status.message();
  };
  EXPECT_EQ(refused("Health", "key", "value"), "unknown restricted api 'Health'");
  EXPECT_EQ(refused("", "key", "value"), "unknown restricted api ''");
  EXPECT_EQ(refused("metrics", "key", "value"), "unknown restricted api 'metrics'");
  for (const std::string header : {"", "a b", "key:", "k\xc3\xa9y", "a\r\nb"}) {
    EXPECT_EQ(refused("health", header, "value"), "'" + header + "' is no name of a header");
  }
  for (const std::string value : {"", " x", "x ", "a\nb", "a\tb"}) {
    EXPECT_EQ(refused("health", "key", value), "no request can have this value of header 'key'");
  }
  ASSERT_TRUE(rules.Restrict("health", "key", "value").ok());
  EXPECT_EQ(refused("health", "other", "value"),
            "restricted api 'health' can not be specified in multiple config groups");
}

}  // namespace
}  // namespace despina::frontend
