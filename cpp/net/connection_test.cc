#include "net/connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <thread>

#include "net/testing/echo.h"

namespace despina::net {
namespace {

using testing::ConnectionTest;

TEST_F(ConnectionTest, MovesBytesBothWaysUntilThePeerCloses) {
  Descriptor peer = Open(protocol_);
  std::string text(3 << 20, ' ');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 / 7);
  std::string echoed;
  std::thread sender([&] {
    SendAll(peer, text);
    ::shutdown(peer.get(), SHUT_WR);
  });
  // Slow enough that the socket is full and answers are sent in parts.
  std::thread receiver([&] { echoed = ReadAll(peer, text.size()); });
  Run();
  sender.join();
  receiver.join();
  EXPECT_EQ(echoed, text);
  EXPECT_EQ(protocol_->closed, 1);
  EXPECT_EQ(removed_, 1);
  EXPECT_EQ(connections_.size(), 0U);
}

TEST_F(ConnectionTest, ReadsAsMuchAtOnceAsThereIsRoomFor) {
  protocol_->echoes = false;
  Descriptor peer = Open(protocol_);
  SendAll(peer, std::string(100'000, 'x'));
  peer = Descriptor();
  Run();
  EXPECT_EQ(protocol_->reads, std::vector<size_t>{100'000});
}

TEST_F(ConnectionTest, SendsWhatComesUpLater) {
  Descriptor peer = Open(protocol_);
  loop_.Post([&] { protocol_->Send("hello"); });
  loop_.Post([&] { connections_.CloseAll(); });
  Run();
  EXPECT_EQ(ReadAll(peer, 100), "hello");
}

TEST_F(ConnectionTest, NoticesAPeerThatHasGoneWhenItSends) {
  Descriptor peer = Open(protocol_);
  loop_.Post([&] {
    peer = Descriptor();
    protocol_->Send("hello");
    EXPECT_EQ(protocol_->closed, 1);
    EXPECT_EQ(connections_.size(), 0U);
  });
  Run();
  EXPECT_EQ(protocol_->closed, 1);
}

TEST_F(ConnectionTest, ClosesWhenTheProtocolIsDone) {
  Descriptor peer = Open(protocol_);
  loop_.Post([&] { connections_.StopWhenIdle(); });
  Run();
  EXPECT_EQ(ReadAll(peer, 1), "");
  EXPECT_EQ(protocol_->closed, 1);
}

TEST_F(ConnectionTest, EndsSendingWhileItDrains) {
  protocol_->echoes = false;
  Descriptor peer = Open(protocol_);
  protocol_->the_phase = Protocol::Phase::kDraining;
  loop_.Post([&] {
    protocol_->Send("last words");
    // The peer sees the end, and may still send.
    EXPECT_EQ(ReadAll(peer, 100), "last words");
    EXPECT_EQ(::send(peer.get(), "more", 4, MSG_NOSIGNAL), 4);
    peer = Descriptor();
  });
  Run();
  EXPECT_EQ(protocol_->reads, std::vector<size_t>{4});
}

TEST_F(ConnectionTest, TellsTheProtocolThatItsDeadlineHasPassed) {
  Descriptor peer = Open(protocol_);
  const TimePoint start = Clock::System().Now();
  protocol_->the_deadline = start + Duration(100);
  loop_.Post([&] {
    connections_.CheckDeadlines(start + Duration(99));
    EXPECT_EQ(connections_.size(), 1U);
    connections_.CheckDeadlines(start + Duration(100));
    EXPECT_EQ(connections_.size(), 0U);
  });
  Run();
  EXPECT_EQ(protocol_->closed, 1);
}

}  // namespace
}  // namespace despina::net
