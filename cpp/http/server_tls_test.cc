#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "http/testing/server_fixture.h"
#include "net/testing/certificates.h"

namespace despina::http {
namespace {

using net::testing::Certificates;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Client;
using testing::Get;
using testing::Infer;
using testing::InferBinary;
using testing::Reply;
using testing::ServerTest;

class ServerTlsTest : public ServerTest {
 protected:
  // A server process ignores it, and so must what writes to a client that has gone.
  ServerTlsTest() { std::signal(SIGPIPE, SIG_IGN); }

  void StartTls(Options options = {}) {
    options.tls = std::make_shared<net::TlsContext>();
    ASSERT_TRUE(options.tls->UseCertificate(files_.File("server.pem")).ok());
    ASSERT_TRUE(options.tls->UseKey(files_.File("server.key")).ok());
    Start(std::move(options));
  }
  Client ConnectTls() {
    return Client(server_->port(), {.authority = files_.File("authority.pem")});
  }

  const Certificates files_;
};

TEST_F(ServerTlsTest, InfersOnOneConnectionAgainAndAgain) {
  StartTls();
  Client client = ConnectTls();
  for (const std::string_view model : {"now", "thread", "now"}) {
    const std::optional<Reply> reply = client.Ask(Infer(model));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200) << reply->body;
    EXPECT_NE(reply->body.find(R"("data":[1.5,2.0])"), std::string::npos) << reply->body;
  }
}

TEST_F(ServerTlsTest, InfersWithBinaryTensorsOfAnySize) {
  StartTls();
  Client client = ConnectTls();
  for (const size_t floats : {size_t{1}, size_t{1000}, size_t{150'528}, size_t{2'000'000}}) {
    const std::string request = InferBinary("thread", floats);
    const std::optional<Reply> reply = client.Ask(request);
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->status, 200) << reply->body;
    const size_t json = std::stoull(reply->fields.at("inference-header-content-length"));
    EXPECT_EQ(reply->body.substr(json), request.substr(request.size() - 4 * floats));
  }
}

TEST_F(ServerTlsTest, AnswersRequestsThatComeInOneRecord) {
  StartTls();
  Client client = ConnectTls();
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += Infer(i % 2 == 0 ? "now" : "thread");
  client.Send(requests);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(client.Read()->status, 200) << i;
}

TEST_F(ServerTlsTest, TellsAClientWithoutTlsToUseIt) {
  StartTls();
  const std::optional<Reply> reply = Connect().Ask(Get("/v2"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 400);
  EXPECT_EQ(reply->body, R"({"error":"this port speaks HTTPS: HTTP needs TLS here"})");
  EXPECT_EQ(reply->fields.at("connection"), "close");
}

TEST_F(ServerTlsTest, GivesAHandshakeTheTimeOfAHeader) {
  StartTls({.header_timeout = milliseconds(60)});
  Client silent = Connect();
  Client slow = Connect();
  slow.Send("\x16\x03\x01\x02");
  EXPECT_TRUE(silent.SeesEnd());
  EXPECT_TRUE(slow.SeesEnd());
}

TEST_F(ServerTlsTest, CancelsTheRequestOfAClientThatVanishes) {
  StartTls();
  Client closing = ConnectTls();
  closing.Send(Infer("held"));
  held_->WaitForArrivals(1);
  closing.Close();
  held_->WaitForCancellations(1);
  EXPECT_TRUE(server_->Close(Clock::System().Now() + seconds(10)));
  EXPECT_EQ(server_->bytes_in_flight(), 0U);
}

TEST_F(ServerTlsTest, ServesTheOthersWhileClientsVanish) {
  StartTls({.threads = 2});
  std::atomic<int> failed{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      const std::string request = InferBinary("thread", 5000);
      for (int k = 0; k < 5; ++k) {
        // Within the handshake, within the request, or right behind it.
        Client garbage = Connect();
        garbage.Send(k % 2 == 0 ? "\x16\x03\x01" : "garbage\r\n\r\n");
        if (k % 3 == 0) garbage.Reset();
        Client vanishing = ConnectTls();
        vanishing.Send(std::string_view(request).substr(
            0, request.size() - static_cast<size_t>(k % 2 * 100 * i)));
        if (k % 3 == 0) vanishing.Reset();
        vanishing.Close();
        const std::optional<Reply> reply = ConnectTls().Ask(request);
        if (!reply || reply->status != 200) ++failed;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_TRUE(server_->Close(Clock::System().Now() + seconds(10)));
  EXPECT_EQ(server_->bytes_in_flight(), 0U);
  EXPECT_EQ(server_->connections(), 0U);
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
}

TEST_F(ServerTlsTest, AnswersWhatIsInWorkBeforeItCloses) {
  StartTls();
  Client idle = ConnectTls();
  Client busy = ConnectTls();
  Client unopened = Connect();
  EXPECT_EQ(idle.Ask(Get("/v2"))->status, 200);
  busy.Send(Infer("held"));
  held_->WaitForArrivals(1);
  server_->StopAccepting();
  EXPECT_TRUE(idle.SeesEnd());
  EXPECT_TRUE(unopened.SeesEnd());
  held_->Release();
  const std::optional<Reply> reply = busy.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->fields.at("connection"), "close");
  EXPECT_TRUE(busy.SeesEnd());
}

TEST_F(ServerTlsTest, RefusesConnectionsOverTheLimit) {
  StartTls({.max_connections = 1});
  Client first = ConnectTls();
  EXPECT_EQ(first.Ask(Get("/v2"))->status, 200);
  Client second = ConnectTls();
  const std::optional<Reply> reply = second.Ask(Get("/v2"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 503);
  EXPECT_TRUE(second.SeesEnd());
}

}  // namespace
}  // namespace despina::http
