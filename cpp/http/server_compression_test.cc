#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "frontend/testing/zlib.h"
#include "http/testing/server_fixture.h"

namespace despina::http {
namespace {

using frontend::testing::Compressed;
using frontend::testing::Decompressed;
using frontend::testing::kGzipForm;
using frontend::testing::kZlibForm;
using std::chrono::seconds;
using testing::Client;
using testing::Get;
using testing::InferBinary;
using testing::kJsonBody;
using testing::Post;
using testing::Reply;
using testing::ServerTest;

constexpr std::string_view kInferPath = "/v2/models/thread/infer";
constexpr std::string_view kGzip = "Content-Encoding: gzip\r\n";
constexpr std::string_view kAcceptGzip = "Accept-Encoding: gzip\r\n";

class ServerCompressionTest : public ServerTest {
 protected:
  // The same request with a further field.
  static std::string With(std::string request, std::string_view field) {
    return request.insert(request.find("\r\n") + 2, field);
  }
};

TEST_F(ServerCompressionTest, TakesCompressedRequests) {
  Start();
  Client client = Connect();
  for (const int form : {kGzipForm, kZlibForm}) {
    const std::string_view name = form == kGzipForm ? "gzip" : "deflate";
    const std::optional<Reply> reply = client.Ask(
        Post(kInferPath, Compressed(kJsonBody, form), Concat("Content-Encoding: ", name, "\r\n")));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200) << reply->body;
    EXPECT_NE(reply->body.find(R"("data":[1.5,2.0])"), std::string::npos) << reply->body;
    EXPECT_FALSE(reply->fields.contains("content-encoding"));
  }
}

TEST_F(ServerCompressionTest, CountsTheJsonPartInWhatWasCompressed) {
  Start();
  Client client = Connect();
  const std::string plain = InferBinary("thread", 150'528);
  const size_t head = plain.find("\r\n\r\n") + 4;
  const size_t json = plain.find(']', plain.rfind("outputs")) + 2 - head;
  const std::string_view body = std::string_view(plain).substr(head);
  ASSERT_EQ(body[json - 1], '}');
  const auto ask = [&](size_t json_size) {
    return *client.Ask(Post(kInferPath, Compressed(body),
                            Concat(kGzip, "Inference-Header-Content-Length: ", json_size, "\r\n")));
  };
  const Reply reply = ask(json);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const size_t reply_json = std::stoull(reply.fields.at("inference-header-content-length"));
  EXPECT_EQ(reply.body.substr(reply_json), body.substr(json));
  const Reply beyond = ask(body.size() + 1);
  EXPECT_EQ(beyond.status, 400);
  EXPECT_NE(beyond.body.find("inference header size should be in range"), std::string::npos)
      << beyond.body;
}

TEST_F(ServerCompressionTest, CompressesAnswersForThoseWhoLikeThat) {
  Start();
  Client client = Connect();
  for (const size_t floats : {size_t{1}, size_t{1000}, size_t{150'528}, size_t{2'000'000}}) {
    const std::string request = InferBinary("thread", floats);
    const Reply plain = *client.Ask(request);
    const Reply gzip = *client.Ask(With(request, kAcceptGzip));
    EXPECT_EQ(gzip.status, 200);
    EXPECT_EQ(gzip.fields.at("content-encoding"), "gzip");
    EXPECT_EQ(gzip.fields.at("inference-header-content-length"),
              plain.fields.at("inference-header-content-length"));
    EXPECT_EQ(Decompressed(gzip.body), plain.body);
    const Reply deflate = *client.Ask(With(request, "Accept-Encoding: gzip;q=0, deflate\r\n"));
    EXPECT_EQ(deflate.fields.at("content-encoding"), "deflate");
    EXPECT_EQ(Decompressed(deflate.body, kZlibForm), plain.body);
  }
}

TEST_F(ServerCompressionTest, CompressesNothingElse) {
  Start();
  Client client = Connect();
  EXPECT_FALSE(client.Ask(With(Get("/v2"), kAcceptGzip))->fields.contains("content-encoding"));
  const Reply error = *client.Ask(Post(kInferPath, "{}", kAcceptGzip));
  EXPECT_EQ(error.status, 400);
  EXPECT_TRUE(error.body.starts_with(R"({"error":)")) << error.body;
}

TEST_F(ServerCompressionTest, SaysWhichCodingsItTakes) {
  Start();
  Client client = Connect();
  for (const std::string_view other : {"br", "gzip, gzip", "x-gzip"}) {
    const Reply reply =
        *client.Ask(Post(kInferPath, kJsonBody, Concat("Content-Encoding: ", other, "\r\n")));
    EXPECT_EQ(reply.status, 501);
    EXPECT_EQ(reply.body, R"({"error":"Unsupported compression type"})");
    EXPECT_EQ(reply.fields.at("accept-encoding"), "gzip, deflate");
  }
}

TEST_F(ServerCompressionTest, OthersAreAnsweredWhileALargeAnswerIsCompressed) {
  Start();
  Client large = Connect();
  Client small = Connect();
  // Some 250 parts.
  large.Send(With(InferBinary("held", 4'000'000), kAcceptGzip));
  held_->WaitForArrivals(1);
  held_->Release();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(small.Ask(Get("/v2"))->status, 200);
  char byte = 0;
  EXPECT_EQ(::recv(large.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
  const std::optional<Reply> reply = large.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(Decompressed(reply->body).size(),
            16'000'000 + std::stoull(reply->fields.at("inference-header-content-length")));
}

TEST_F(ServerCompressionTest, LetsGoOfAnAnswerWhoseClientHasGone) {
  Start();
  for (size_t i = 0; i < 8; ++i) {
    Client client = Connect();
    client.Send(With(InferBinary("held", 2'000'000), kAcceptGzip));
    held_->WaitForArrivals(i + 1);
    held_->Release();
    if (i % 2 == 0) client.Reset();
    client.Close();
  }
  EXPECT_TRUE(server_->Close(Clock::System().Now() + seconds(20)));
  EXPECT_EQ(server_->bytes_in_flight(), 0U);
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
}

TEST_F(ServerCompressionTest, RefusesAnAnswerThatTheBudgetDoesNotHold) {
  // "1" comes back as "1.0".
  std::string ones = "1";
  for (int i = 1; i < 200'000; ++i) ones += ",1";
  const std::string request =
      Post(kInferPath,
           Concat(R"({"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[200000],"data":[)",
                  ones, "]}]}"),
           kAcceptGzip);
  for (const auto& [limit, status] : {std::pair(600'000, 503), std::pair(900'000, 200)}) {
    Start({.max_bytes_in_flight = static_cast<uint64_t>(limit)});
    const std::optional<Reply> reply = Connect().Ask(request);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, status) << reply->body;
  }
}

TEST_F(ServerCompressionTest, EndsWhileItCompresses) {
  Start();
  std::vector<Client> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(Connect());
    clients.back().Send(With(InferBinary("held", 2'000'000), kAcceptGzip));
  }
  held_->WaitForArrivals(4);
  held_->Release();
  server_.reset();
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
}

}  // namespace
}  // namespace despina::http
