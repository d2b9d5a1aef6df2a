#include "net/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "base/text.h"

namespace despina::net {
namespace {

Descriptor Connect(uint16_t port) {
  Descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return {};
  }
  return client;
}

TEST(ListenerTest, ListensOnAPortThatIsFree) {
  const auto sockets = Listen("127.0.0.1", 0, 1);
  ASSERT_TRUE(sockets.ok()) << sockets.status().message();
  EXPECT_NE(sockets->front().port, 0);
}

TEST(ListenerTest, ListensWithSeveralSocketsOnOnePort) {
  const auto sockets = Listen("127.0.0.1", 0, 3);
  ASSERT_TRUE(sockets.ok()) << sockets.status().message();
  ASSERT_EQ(sockets->size(), 3U);
  for (const ListeningSocket& each : *sockets) EXPECT_EQ(each.port, sockets->front().port);
}

TEST(ListenerTest, NamesAddressAndPortOfAnError) {
  const auto first = Listen("localhost", 0, 1);
  ASSERT_TRUE(first.ok()) << first.status().message();
  const uint16_t port = first->front().port;
  for (const unsigned count : {1U, 2U}) {
    const auto second = Listen("localhost", port, count);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.status().code(), Code::kUnavailable);
    EXPECT_EQ(second.status().message(), Concat("localhost:", port, " already in use"));
  }
  const auto foreign = Listen("203.0.113.1", 80, 1);
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(foreign.status().message().starts_with("cannot listen on 203.0.113.1:80: "))
      << foreign.status().message();
}

// Accepts so many connections and closes.
class Accepting {
 public:
  Accepting(Loop& loop, Descriptor listening, size_t count)
      : listener_(loop, std::move(listening), [this, &loop, count](Descriptor next) {
          accepted.push_back(std::move(next));
          if (accepted.size() < count) return;
          listener_.Close();
          loop.Finish();
        }) {
    listener_.Start();
  }

  std::vector<Descriptor> accepted;

 private:
  Listener listener_;
};

TEST(ListenerTest, AcceptsConnectionsThatSendWithoutDelay) {
  auto sockets = Listen("127.0.0.1", 0, 1);
  ASSERT_TRUE(sockets.ok());
  const uint16_t port = sockets->front().port;
  Loop loop;
  Accepting accepting(loop, std::move(sockets->front().descriptor), 2);
  const Descriptor first = Connect(port);
  const Descriptor second = Connect(port);
  loop.Run();
  ASSERT_EQ(accepting.accepted.size(), 2U);
  int on = 0;
  socklen_t size = sizeof on;
  const int accepted = accepting.accepted[0].get();
  ASSERT_EQ(::getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
  EXPECT_EQ(on, 1);
  EXPECT_NE(::fcntl(accepted, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_FALSE(Connect(port));
}

TEST(ListenerTest, PausesWhenDescriptorsRunOut) {
#ifdef DESPINA_SANITIZED
  GTEST_SKIP() << "UBSan opens pipes to look at memory, and reports errors when it cannot";
#endif
  auto sockets = Listen("127.0.0.1", 0, 1);
  ASSERT_TRUE(sockets.ok());
  Loop loop;
  Accepting accepting(loop, std::move(sockets->front().descriptor), 1);
  const Descriptor client = Connect(sockets->front().port);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // No descriptor more than there are now.
  rlimit none_left = before;
  none_left.rlim_cur = static_cast<rlim_t>(Descriptor(::fcntl(client.get(), F_DUPFD, 0)).get());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
  Timer more(loop, [&] {
    EXPECT_TRUE(accepting.accepted.empty());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  });
  more.Start(std::chrono::milliseconds(20));
  loop.Run();
  EXPECT_EQ(accepting.accepted.size(), 1U);
}

}  // namespace
}  // namespace despina::net
