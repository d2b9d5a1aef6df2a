#include "http/routes.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>

namespace despina::http {
namespace {

RouteMatch Find(std::string_view path, Method method = Method::kGet) {
  return FindRoute(InferenceRoutes(), method, path);
}

TEST(RoutesTest, FindsModelAndVersion) {
  const std::string path = "/v2/models/a%2Fb/versions/12/infer";
  const RouteMatch match = Find(path, Method::kPost);
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->endpoint, Endpoint::kInfer);
  EXPECT_EQ(match.model, "a%2Fb");
  EXPECT_EQ(match.version, 12);
}

TEST(RoutesTest, LeavesTheVersionOpenWhereThePathDoes) {
  const RouteMatch match = Find("/v2/models/m");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->endpoint, Endpoint::kModelMetadata);
  EXPECT_EQ(match.model, "m");
  EXPECT_FALSE(match.version);
}

TEST(RoutesTest, PrefersTheLiteralPath) {
  EXPECT_EQ(Find("/v2/models/stats").route->endpoint, Endpoint::kAllStatistics);
  EXPECT_EQ(Find("/v2/models/stats/stats").route->endpoint, Endpoint::kModelStatistics);
}

TEST(RoutesTest, KnowsEveryRouteOfItsTable) {
  for (const Route& route : InferenceRoutes()) {
    std::string path(route.path);
    for (const auto& [name, value] : {std::pair("{model}", "m"), std::pair("{version}", "3"),
                                      std::pair("{repository}", "r"), std::pair("{region}", "s")}) {
      const size_t at = path.find(name);
      if (at != std::string::npos) path.replace(at, std::strlen(name), value);
    }
    const RouteMatch match = Find(path, route.method);
    ASSERT_NE(match.route, nullptr) << path;
    EXPECT_EQ(match.route->endpoint, route.endpoint) << path;
    EXPECT_FALSE(route.summary.empty()) << path;
  }
}

TEST(RoutesTest, TellsAWrongMethodFromAnUnknownPath) {
  for (const Method method : {Method::kPost, Method::kHead, Method::kOther}) {
    EXPECT_EQ(Find("/v2", method).route, nullptr);
    EXPECT_EQ(Find("/v2", method).allow, "Allow: GET\r\n");
  }
  EXPECT_EQ(Find("/v2/models/m/infer").allow, "Allow: POST\r\n");
}

TEST(RoutesTest, DecodesSegments) {
  EXPECT_EQ(Decoded("plain"), "plain");
  EXPECT_EQ(Decoded("a%20b%2fc%C3%BC"), "a b/c\u00fc");
  EXPECT_EQ(Decoded("%00"), std::string(1, '\0'));
  for (const std::string_view literal : {"%", "%4", "%zz", "%4g", "%-1", "100%"}) {
    EXPECT_EQ(Decoded(literal), literal);
  }
  EXPECT_EQ(Decoded("%%41"), "%A");
}

TEST(RoutesTest, FindsNothingElse) {
  for (const std::string_view path : {"",
                                      "/",
                                      "/v2/",
                                      "/v2x",
                                      "v2",
                                      "/V2",
                                      "/v2/models",
                                      "/v2/models/",
                                      "/v2/models//infer",
                                      "/v2/models/m/",
                                      "/v2/models/m/versions/x/infer",
                                      "/v2/models/m/versions/-1/infer",
                                      "/v2/models/m/versions/+1/infer",
                                      "/v2/models/m/versions//infer",
                                      "/v2/models/m/versions/1x",
                                      "/v2/models/m/versions/99999999999999999999",
                                      "/v2/models/m/n/infer",
                                      "/metrics",
                                      "http://host/v2",
                                      "*"}) {
    EXPECT_EQ(Find(path).route, nullptr) << path;
  }
}

TEST(RoutesTest, MetricsHaveRoutesOfTheirOwn) {
  EXPECT_NE(FindRoute(MetricsRoutes(), Method::kGet, "/metrics").route, nullptr);
  EXPECT_NE(FindRoute(MetricsRoutes(), Method::kGet, "/metrics/").route, nullptr);
  EXPECT_EQ(FindRoute(MetricsRoutes(), Method::kGet, "/v2").route, nullptr);
}

}  // namespace
}  // namespace despina::http
