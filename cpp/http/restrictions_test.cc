#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "frontend/access.h"
#include "http/routes.h"
#include "http/testing/server_fixture.h"

namespace despina::http {
namespace {

using frontend::AccessRules;
using testing::Client;
using testing::Infer;
using testing::Reply;
using testing::ServerTest;

class RestrictedServerTest : public ServerTest {
 protected:
  void StartRestricted(const std::vector<std::string_view>& apis) {
    auto rules = std::make_shared<AccessRules>();
    for (const std::string_view api : apis) {
      ASSERT_TRUE(rules->Restrict(api, "key", "secret").ok()) << api;
    }
    Start({.access = rules});
    // What changes something is refused at once: nobody is there to do it.
    control_.Close();
  }
  // The status of an answer; that of a restricted request tells why.
  static int Ask(Client& client, std::string_view method, std::string_view path,
                 std::string_view fields) {
    const std::optional<Reply> reply =
        client.Ask(Concat(method, " ", path, " HTTP/1.1\r\n", fields, "Content-Length: 0\r\n\r\n"));
    EXPECT_TRUE(reply) << path;
    if (!reply) return 0;
    if (reply->status == 403) {
      EXPECT_EQ(reply->body, R"({"error":"This API is restricted, expecting header 'key'"})");
    }
    return reply->status;
  }
};

const std::vector<std::string_view> kAll = {"health",        "metadata",     "inference",
                                            "shared-memory", "model-config", "model-repository",
                                            "statistics",    "trace",        "logging"};

TEST_F(RestrictedServerTest, NoRouteLeadsAroundARestriction) {
  StartRestricted(kAll);
  Client client = Connect();
  for (const Route& route : InferenceRoutes()) {
    std::string path(route.path);
    for (const auto& [name, value] : {std::pair("{model}", "now"), std::pair("{version}", "1"),
                                      std::pair("{repository}", "r"), std::pair("{region}", "r")}) {
      const size_t at = path.find(name);
      if (at != std::string::npos) path.replace(at, std::string_view(name).size(), value);
    }
    for (const std::string_view method : {"GET", "POST", "PUT", "OPTIONS"}) {
      EXPECT_EQ(Ask(client, method, path, ""), 403) << method << " " << path;
      EXPECT_EQ(Ask(client, method, path, "key: wrong\r\n"), 403) << method << " " << path;
      EXPECT_EQ(Ask(client, method, path + "?key=secret", ""), 403) << method << " " << path;
      EXPECT_NE(Ask(client, method, path, "KEY: secret\r\n"), 403) << method << " " << path;
    }
    // What is no route is none with a restriction either.
    for (const std::string& other : {path + "/", "/" + path, path + "%20", path + "//"}) {
      EXPECT_NE(Ask(client, "GET", other, ""), 200) << other;
    }
  }
}

TEST_F(RestrictedServerTest, EachApiIsRestrictedByItself) {
  const std::vector<std::pair<std::string_view, std::string_view>> paths = {
      {"health", "/v2/health/live"},
      {"health", "/v2/health/ready"},
      {"health", "/v2/models/now/ready"},
      {"health", "/v2/models/now/versions/1/ready"},
      {"metadata", "/v2"},
      {"metadata", "/v2/models/now"},
      {"model-config", "/v2/models/now/config"},
      {"statistics", "/v2/models/stats"},
      {"statistics", "/v2/models/now/stats"},
      {"metadata", "/v2/models/now/versions/1"}};
  for (const std::string_view api : kAll) {
    StartRestricted({api});
    Client client = Connect();
    for (const auto& [of, path] : paths) {
      EXPECT_EQ(Ask(client, "GET", path, ""), of == api ? 403 : 200) << api << " " << path;
    }
    EXPECT_EQ(client.Ask(Infer("now"))->status, api == "inference" ? 403 : 200) << api;
  }
}

TEST_F(RestrictedServerTest, ReadsNoBodyOfARequestThatIsDenied) {
  StartRestricted({"inference"});
  Client client = Connect();
  client.Send("POST /v2/models/now/infer HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
  const std::optional<Reply> reply = client.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 403);
  EXPECT_EQ(reply->fields.at("connection"), "close");
}

}  // namespace
}  // namespace despina::http
