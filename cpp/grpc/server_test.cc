#include "grpc/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/text.h"
#include "frontend/testing/fake_model.h"
#include "grpc/testing/client.h"
#include "memory/pool.h"
#include "net/descriptor.h"
#include "net/testing/certificates.h"
#include "net/testing/tls_client.h"

namespace despina::grpc {
namespace {

using frontend::testing::FakeModel;
using net::testing::Certificates;
using net::testing::TlsClient;
using std::chrono::seconds;
using testing::Answered;
using testing::Framed;
using testing::InferMessage;

// A blocking one.
class SocketClient final : private testing::Client {
 public:
  explicit SocketClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    BeginClient();
  }
  // Through TLS.
  SocketClient(uint16_t port, const TlsClient::Options& options) : SocketClient(port) {
    tls_ = std::make_unique<TlsClient>(std::move(socket_), options);
    connected_ = connected_ && tls_->Connect();
  }

  bool connected() const { return connected_; }
  std::string protocol() const { return tls_->protocol(); }
  const std::string& go_away_text() const { return go_away_text_; }
  const Answered& answered(int32_t call) { return answered_[call]; }

  int32_t Begin(std::string_view model, size_t floats = 1) {
    const int32_t call = Start(kUnary, Framed(InferMessage(model, "i", 1, floats)));
    Write();
    return call;
  }
  // Stays open.
  int32_t BeginStream(std::string_view model) {
    const int32_t call = Start(kStream, Framed(InferMessage(model, "i")), false);
    Write();
    return call;
  }
  // Begins a message and does not end it.
  void BeginHalf() {
    Start(kUnary, Framed(InferMessage("now", "i")).substr(0, 10), false);
    Write();
  }
  // Reads until the call has ended; false when the server closes before.
  bool Finish(int32_t call) {
    while (!answered_[call].closed) {
      if (!ReadOnce()) return false;
    }
    return true;
  }
  std::string Ask(std::string_view model, size_t floats = 1) {
    const int32_t call = Begin(model, floats);
    return Finish(call) ? answered_[call].status() : "closed";
  }
  // Reads until the server closes, and closes too.
  void ReadToTheEnd() {
    while (ReadOnce()) {
    }
    Close();
  }
  bool ReadOnce() {
    const std::string bytes = tls_ ? tls_->Receive() : ReceiveFromSocket();
    if (bytes.empty()) return false;
    Receive(bytes);
    Write();
    return true;
  }
  void Close() {
    tls_.reset();
    socket_ = net::Descriptor();
  }

 private:
  void Write() {
    std::string bytes = FromClient();
    if (tls_) {
      tls_->Send(bytes);
      return;
    }
    std::string_view left = bytes;
    while (!left.empty()) {
      const ssize_t sent = ::send(socket_.get(), left.data(), left.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      left.remove_prefix(static_cast<size_t>(sent));
    }
  }
  std::string ReceiveFromSocket() {
    std::array<char, 16384> bytes{};
    const ssize_t size = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    return {bytes.data(), size > 0 ? static_cast<size_t>(size) : 0};
  }

  net::Descriptor socket_;
  std::unique_ptr<TlsClient> tls_;
  bool connected_ = false;
};

class ServerTest : public ::testing::Test {
 protected:
  ~ServerTest() override {
    server_.reset();
    held_->End();
    stubborn_->End();
  }

  void Start(Options options = {}) {
    options.port = 0;
    auto server = Serve(std::move(options), snapshot_, control_, regions_, pool_, Clock::System());
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
  }
  SocketClient Connect() { return SocketClient(server_->port()); }
  static TimePoint Soon() { return Clock::System().Now() + seconds(10); }
  void ExpectNothingLeft() {
    EXPECT_EQ(server_->connections(), 0U);
    EXPECT_EQ(server_->bytes_in_flight(), 0U);
    EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
  }

  BufferPool pool_;
  frontend::ControlQueue control_;
  SharedRegions regions_;
  std::shared_ptr<FakeModel> now_ = std::make_shared<FakeModel>("now", FakeModel::Answers::kAtOnce);
  std::shared_ptr<FakeModel> thread_ =
      std::make_shared<FakeModel>("thread", FakeModel::Answers::kOnItsThread);
  std::shared_ptr<FakeModel> held_ =
      std::make_shared<FakeModel>("held", FakeModel::Answers::kWhenReleased);
  std::shared_ptr<FakeModel> stubborn_ =
      std::make_shared<FakeModel>("stubborn", FakeModel::Answers::kOnlyWhenReleased);
  Published<Snapshot> snapshot_{frontend::testing::SnapshotOf({now_, thread_, held_, stubborn_})};
  std::unique_ptr<net::Server> server_;
};

TEST_F(ServerTest, InfersOnOneConnectionAgainAndAgain) {
  Start();
  SocketClient client = Connect();
  for (const size_t floats : {size_t{1}, size_t{1000}, size_t{150'528}, size_t{500'000}}) {
    EXPECT_EQ(client.Ask("now", floats), "0");
    EXPECT_EQ(client.Ask("thread", floats), "0");
  }
  EXPECT_EQ(client.Ask("nobody"), "5");
}

TEST_F(ServerTest, AnswersManyConnectionsInParallel) {
  for (const unsigned threads : {1U, 2U}) {
    Start({.threads = threads});
    std::atomic<int> answered{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < 16; ++i) {
      clients.emplace_back([&, i] {
        SocketClient client = Connect();
        for (int k = 0; k < 5; ++k) {
          std::vector<int32_t> calls(4);
          for (int32_t& call : calls) call = client.Begin(i % 2 == 0 ? "thread" : "now", 100);
          for (const int32_t call : calls) {
            if (client.Finish(call) && client.answered(call).status() == "0") ++answered;
          }
        }
      });
    }
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(answered, 16 * 5 * 4);
    EXPECT_TRUE(server_->Close(Soon()));
    ExpectNothingLeft();
  }
}

TEST_F(ServerTest, ServesTheOthersWhileClientsVanish) {
  Start({.threads = 2});
  std::atomic<int> failed{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      for (int k = 0; k < 5; ++k) {
        SocketClient vanishing = Connect();
        if (k % 2 == 0) vanishing.BeginHalf();
        vanishing.BeginStream("thread");
        vanishing.Begin("thread", size_t{1000} * static_cast<size_t>(i));
        vanishing.Close();
        if (Connect().Ask("thread", 5000) != "0") ++failed;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_TRUE(server_->Close(Soon()));
  ExpectNothingLeft();
}

TEST_F(ServerTest, CancelsWhatIsInWorkForAClientThatVanishes) {
  Start();
  SocketClient client = Connect();
  client.Begin("held");
  client.BeginStream("held");
  held_->WaitForArrivals(2);
  client.Close();
  held_->WaitForCancellations(2);
  EXPECT_TRUE(server_->Close(Soon()));
  ExpectNothingLeft();
}

TEST_F(ServerTest, AnswersWhatIsInWorkBeforeItCloses) {
  Start();
  SocketClient idle = Connect();
  SocketClient busy = Connect();
  EXPECT_EQ(idle.Ask("now"), "0");
  const int32_t call = busy.Begin("held");
  held_->WaitForArrivals(1);
  server_->StopAccepting();
  idle.ReadToTheEnd();
  held_->Release();
  ASSERT_TRUE(busy.Finish(call));
  EXPECT_EQ(busy.answered(call).status(), "0");
  busy.ReadToTheEnd();
  EXPECT_FALSE(Connect().connected());
  EXPECT_TRUE(server_->Close(Soon()));
  ExpectNothingLeft();
}

TEST_F(ServerTest, AStreamThatRestsDoesNotHoldUpTheEnd) {
  Start();
  SocketClient client = Connect();
  const int32_t call = client.BeginStream("now");
  while (client.answered(call).body.empty()) ASSERT_TRUE(client.ReadOnce());
  server_->StopAccepting();
  ASSERT_TRUE(client.Finish(call));
  EXPECT_EQ(client.answered(call).status(), "14");
  client.ReadToTheEnd();
  EXPECT_TRUE(server_->Close(Soon()));
}

TEST_F(ServerTest, ClosesWhatIsLeftAtTheDeadline) {
  Start();
  SocketClient half = Connect();
  half.BeginHalf();
  SocketClient client = Connect();
  const int32_t call = client.Begin("held");
  held_->WaitForArrivals(1);
  EXPECT_FALSE(server_->Close(Clock::System().Now()));
  held_->WaitForCancellations(1);
  EXPECT_FALSE(client.Finish(call));
  ExpectNothingLeft();
}

TEST_F(ServerTest, RequestsMayOutliveTheServer) {
  Start();
  SocketClient client = Connect();
  client.Begin("stubborn");
  client.BeginStream("stubborn");
  stubborn_->WaitForArrivals(2);
  EXPECT_FALSE(server_->Close(Clock::System().Now()));
  EXPECT_GT(server_->bytes_in_flight(), 0U);
  server_.reset();
  stubborn_->Release();
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
}

TEST_F(ServerTest, TellsAConnectionOverTheLimitThatItIsOne) {
  Start({.max_connections = 1});
  SocketClient first = Connect();
  EXPECT_EQ(first.Ask("now"), "0");
  SocketClient second = Connect();
  second.ReadToTheEnd();
  EXPECT_EQ(second.go_away_text(), "the server has its limit of 1 connections");
  EXPECT_EQ(first.Ask("now"), "0");
}

TEST_F(ServerTest, NamesTheAddressThatIsInUse) {
  Start();
  Options options;
  options.port = server_->port();
  const auto second = Serve(options, snapshot_, control_, regions_, pool_, Clock::System());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().message(),
            Concat("failed to start GRPC service: 127.0.0.1:", options.port, " already in use"));
}

class ServerTlsTest : public ServerTest {
 protected:
  // A server process ignores it, and so must what writes to a client that has gone.
  ServerTlsTest() { std::signal(SIGPIPE, SIG_IGN); }

  void ServeTls() {
    Options options;
    options.tls = std::make_shared<net::TlsContext>();
    ASSERT_TRUE(options.tls->UseCertificate(files_.File("server.pem")).ok());
    ASSERT_TRUE(options.tls->UseKey(files_.File("server.key")).ok());
    Start(std::move(options));
  }
  // `protocols` as ALPN has them: each name behind its length.
  SocketClient ConnectTls(std::string protocols = "\x02h2") {
    return SocketClient(server_->port(), {.authority = files_.File("authority.pem"),
                                          .protocols = std::move(protocols)});
  }

  const Certificates files_;
};

TEST_F(ServerTlsTest, InfersThroughTls) {
  ServeTls();
  SocketClient client = ConnectTls("\x08http/1.1\x02h2");
  EXPECT_EQ(client.protocol(), "h2");
  for (const size_t floats : {size_t{1}, size_t{150'528}, size_t{500'000}}) {
    EXPECT_EQ(client.Ask("thread", floats), "0");
  }
  // One that names nothing is taken to know.
  EXPECT_EQ(ConnectTls("").Ask("now"), "0");
}

TEST_F(ServerTlsTest, RefusesAClientThatSpeaksOnlyHttp1) {
  ServeTls();
  EXPECT_FALSE(ConnectTls("\x08http/1.1").connected());
  EXPECT_EQ(ConnectTls().Ask("now"), "0");
}

TEST_F(ServerTlsTest, ClosesAClientThatSpeaksNoTls) {
  ServeTls();
  SocketClient client = Connect();
  EXPECT_EQ(client.Ask("now"), "closed");
  EXPECT_EQ(ConnectTls().Ask("now"), "0");
}

TEST_F(ServerTlsTest, AnswersWhatIsInWorkBeforeItCloses) {
  ServeTls();
  SocketClient busy = ConnectTls();
  const int32_t call = busy.Begin("held");
  SocketClient unopened = Connect();
  held_->WaitForArrivals(1);
  server_->StopAccepting();
  unopened.ReadToTheEnd();
  held_->Release();
  ASSERT_TRUE(busy.Finish(call));
  EXPECT_EQ(busy.answered(call).status(), "0");
  busy.ReadToTheEnd();
  EXPECT_TRUE(server_->Close(Soon()));
  ExpectNothingLeft();
}

}  // namespace
}  // namespace despina::grpc
