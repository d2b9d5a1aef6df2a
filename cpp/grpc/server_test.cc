#include "grpc/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>

#include "grpc/testing/session_fixture.h"
#include "net/descriptor.h"

namespace despina::grpc {
namespace {

class ServerTest : public testing::SessionTest {
 protected:
  void Serve(size_t max_connections) {
    Options options;
    options.port = 0;
    options.max_connections = max_connections;
    auto server = Server::Start(std::move(options), snapshot_, control_, regions_, server_pool_,
                                Clock::System());
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
  }
  net::Descriptor Connect() {
    net::Descriptor client(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return client;
  }
  static void Write(const net::Descriptor& client, const std::string& bytes) {
    ASSERT_EQ(::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Empty: the server has closed.
  static std::string Read(const net::Descriptor& client) {
    std::array<char, 4096> bytes{};
    const ssize_t size = ::recv(client.get(), bytes.data(), bytes.size(), 0);
    return {bytes.data(), size > 0 ? static_cast<size_t>(size) : 0};
  }

  BufferPool server_pool_;
  frontend::ControlQueue control_;
  SharedRegions regions_;
  Published<Snapshot> snapshot_{std::make_shared<Snapshot>()};
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, ClosesWhatIsLeftAtTheDeadline) {
  Serve(8);
  Open();
  // A call whose client does not end it.
  Start(kUnary, testing::Framed("begun"), false);
  const net::Descriptor client = Connect();
  Write(client, FromClient());
  ASSERT_FALSE(Read(client).empty());
  EXPECT_EQ(server_->connections(), 1U);
  EXPECT_FALSE(server_->Close(Clock::System().Now()));
  EXPECT_EQ(server_->connections(), 0U);
  EXPECT_EQ(server_->bytes_in_flight(), 0U);
  EXPECT_EQ(server_pool_.statistics().bytes_in_use, 0U);
}

TEST_F(ServerTest, TellsAConnectionOverTheLimitThatItIsOne) {
  Serve(0);
  const net::Descriptor client = Connect();
  std::string said;
  while (said.find("the server has its limit of 0 connections") == std::string::npos) {
    const std::string part = Read(client);
    ASSERT_FALSE(part.empty()) << said;
    said += part;
  }
}

}  // namespace
}  // namespace despina::grpc
