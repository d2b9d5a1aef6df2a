#include "http/cors.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "http/testing/server_fixture.h"

namespace despina::http {
namespace {

using testing::Client;
using testing::Get;
using testing::Infer;
using testing::Post;
using testing::Reply;
using testing::ServerTest;

constexpr std::string_view kPage = "https://page.example";

Cors Allowing(const std::vector<std::string_view>& origins) {
  Cors cors;
  for (const std::string_view origin : origins) EXPECT_TRUE(cors.Allow(origin).ok()) << origin;
  return cors;
}

std::string FieldsFor(const Cors& cors, Method method, std::vector<Field> fields) {
  Head head;
  head.method = method;
  head.fields = std::move(fields);
  std::string out;
  cors.AppendFields(head, out);
  return out;
}

TEST(CorsTest, NamesTheOriginsThatAreAllowed) {
  const Cors cors = Allowing({"https://Page.example", "http://localhost:3000"});
  for (const std::string origin : {"https://page.example", "http://localhost:3000"}) {
    EXPECT_EQ(FieldsFor(cors, Method::kGet, {{"origin", origin}}),
              "Vary: Origin\r\nAccess-Control-Allow-Origin: " + origin +
                  "\r\nAccess-Control-Expose-Headers: Inference-Header-Content-Length\r\n");
  }
  for (const std::string origin : {"http://page.example", "https://page.example:8443", "null", "",
                                   "https://page.example.evil", "https://evilpage.example"}) {
    EXPECT_EQ(FieldsFor(cors, Method::kGet, {{"Origin", origin}}), "Vary: Origin\r\n") << origin;
  }
  EXPECT_EQ(FieldsFor(cors, Method::kGet, {}), "Vary: Origin\r\n");
}

TEST(CorsTest, TellsEveryoneWhereAllAreAllowed) {
  const std::string all =
      "Access-Control-Allow-Origin: *\r\n"
      "Access-Control-Expose-Headers: Inference-Header-Content-Length\r\n";
  EXPECT_EQ(FieldsFor(Allowing({"*"}), Method::kGet, {}), all);
  EXPECT_EQ(FieldsFor(Allowing({"http://a", "*"}), Method::kPost, {{"Origin", "null"}}), all);
}

TEST(CorsTest, TellsWhatAPageMayAskFor) {
  const Cors cors = Allowing({kPage});
  std::vector<Field> fields = {{"Origin", std::string(kPage)},
                               {"Access-Control-Request-Method", "POST"}};
  const std::string begin = Concat("Vary: Origin\r\nAccess-Control-Allow-Origin: ", kPage,
                                   "\r\nAccess-Control-Allow-Methods: GET, POST\r\n");
  EXPECT_EQ(FieldsFor(cors, Method::kOptions, fields), begin + "Access-Control-Max-Age: 7200\r\n");
  fields.push_back({"access-control-request-headers", "content-type,my-key"});
  EXPECT_EQ(FieldsFor(cors, Method::kOptions, fields),
            begin +
                "Access-Control-Allow-Headers: content-type,my-key\r\n"
                "Access-Control-Max-Age: 7200\r\n");
}

TEST(CorsTest, RefusesWhatIsNoOrigin) {
  Cors cors;
  for (const std::string_view text :
       {"", "null", "page.example", "https://", "://host", "https://page.example/",
        "https://page.example/path", "https://user@page.example", "https://a b", "https://*,",
        "https://a\r\nb"}) {
    const Status status = cors.Allow(text);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << text;
    EXPECT_EQ(status.message(), Concat("'", text, "' is neither * nor SCHEME://HOST[:PORT]"));
  }
}

class CorsServerTest : public ServerTest {
 protected:
  void StartAllowing(const std::vector<std::string_view>& origins, Options options = {}) {
    options.cors = std::make_shared<Cors>(Allowing(origins));
    Start(std::move(options));
  }
  static std::string Preflight(std::string_view path, std::string_view origin = kPage) {
    return Concat("OPTIONS ", path, " HTTP/1.1\r\nOrigin: ", origin,
                  "\r\nAccess-Control-Request-Method: POST\r\n"
                  "Access-Control-Request-Headers: key\r\n\r\n");
  }
};

TEST_F(CorsServerTest, AnswersAPreflightWithoutABody) {
  StartAllowing({kPage});
  Client client = Connect();
  for (int i = 0; i < 2; ++i) {
    const Reply reply = *client.Ask(Preflight("/v2/models/now/infer"));
    EXPECT_EQ(reply.status, 204);
    EXPECT_EQ(reply.fields.at("access-control-allow-origin"), kPage);
    EXPECT_EQ(reply.fields.at("access-control-allow-headers"), "key");
    EXPECT_FALSE(reply.fields.contains("content-length"));
    EXPECT_FALSE(reply.fields.contains("content-type"));
  }
  EXPECT_EQ(client.Ask(Preflight("/nothing"))->status, 404);
}

TEST_F(CorsServerTest, RefusesEveryOtherOptions) {
  StartAllowing({kPage});
  Client client = Connect();
  const Reply other = *client.Ask(Preflight("/v2", "https://other.example"));
  EXPECT_EQ(other.status, 405);
  EXPECT_FALSE(other.fields.contains("access-control-allow-origin"));
  EXPECT_EQ(client.Ask("OPTIONS /v2 HTTP/1.1\r\n\r\n")->status, 405);
  EXPECT_EQ(client.Ask(Concat("OPTIONS /v2 HTTP/1.1\r\nOrigin: ", kPage, "\r\n\r\n"))->status, 405);
}

TEST_F(CorsServerTest, LetsPagesReadAnswersAndErrors) {
  StartAllowing({kPage}, {.max_body_bytes = 1000});
  const std::string origin = Concat("Origin: ", kPage, "\r\n");
  const auto allowed = [&](std::string request) {
    Client client = Connect();
    const Reply reply = *client.Ask(request.insert(request.find("\r\n") + 2, origin));
    return std::pair(reply.status, reply.fields.contains("access-control-allow-origin"));
  };
  EXPECT_EQ(allowed(Get("/v2")), std::pair(200, true));
  EXPECT_EQ(allowed(Infer("thread")), std::pair(200, true));
  EXPECT_EQ(allowed(Get("/nothing")), std::pair(404, true));
  EXPECT_EQ(allowed(Post("/v2/models/now/infer", "{")), std::pair(400, true));
  EXPECT_EQ(allowed(Post("/v2/models/now/infer", std::string(2000, ' '))), std::pair(413, true));
  // Nothing is left of one request for the next.
  Client client = Connect();
  std::string request = Get("/v2");
  client.Ask(request.insert(request.find("\r\n") + 2, origin));
  EXPECT_FALSE(client.Ask(Get("/v2"))->fields.contains("access-control-allow-origin"));
}

TEST_F(CorsServerTest, APreflightNeedsNoSecretAndARequestDoes) {
  const auto rules = std::make_shared<frontend::AccessRules>();
  ASSERT_TRUE(rules->Restrict("metadata", "key", "secret").ok());
  StartAllowing({kPage}, {.access = rules});
  Client client = Connect();
  EXPECT_EQ(client.Ask(Preflight("/v2"))->status, 204);
  EXPECT_EQ(client.Ask(Get("/v2"))->status, 403);
  EXPECT_EQ(client.Ask("GET /v2 HTTP/1.1\r\nkey: secret\r\n\r\n")->status, 200);
}

TEST_F(CorsServerTest, SaysNothingUnlessItIsAskedTo) {
  Start();
  Client client = Connect();
  EXPECT_EQ(client.Ask(Preflight("/v2"))->status, 405);
  const Reply reply = *client.Ask(Concat("GET /v2 HTTP/1.1\r\nOrigin: ", kPage, "\r\n\r\n"));
  EXPECT_FALSE(reply.fields.contains("access-control-allow-origin"));
  EXPECT_FALSE(reply.fields.contains("vary"));
}

}  // namespace
}  // namespace despina::http
