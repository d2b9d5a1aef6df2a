#include "net/connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace despina::net {
namespace {

// Sends back what it reads, in pieces of a few bytes; reads only when all has been sent.
class EchoProtocol final : public Protocol {
 public:
  void OnOpened(Transport& to) override { transport = &to; }
  void OnClosed() override { ++closed; }
  std::span<std::byte> ReadSpace() override {
    return pieces_.empty() ? std::span(space_) : std::span<std::byte>();
  }
  void OnRead(size_t size) override {
    reads.push_back(size);
    text_.assign(space_.begin(), space_.begin() + static_cast<std::ptrdiff_t>(size));
    if (!echoes) return;
    for (size_t at = 0; at < text_.size(); at += 1000) {
      pieces_.push_back(std::span(text_).subspan(at, std::min<size_t>(1000, text_.size() - at)));
    }
  }
  std::span<const std::span<const std::byte>> Output() override { return pieces_; }
  void OnWritten(size_t size) override {
    while (size > 0) {
      const size_t part = std::min(size, pieces_[0].size());
      pieces_[0] = pieces_[0].subspan(part);
      size -= part;
      if (pieces_[0].empty()) pieces_.erase(pieces_.begin());
    }
  }
  Phase phase() const override { return the_phase; }
  TimePoint deadline() const override { return the_deadline; }
  void OnDeadline() override { the_phase = Phase::kDone; }
  void OnStopping() override { the_phase = Phase::kDone; }

  void Send(std::string_view text) {
    pieces_.push_back(std::as_bytes(std::span(text.data(), text.size())));
    transport->Resume();
  }

  Transport* transport = nullptr;
  bool echoes = true;
  Phase the_phase = Phase::kOpen;
  TimePoint the_deadline = TimePoint::max();
  int closed = 0;
  std::vector<size_t> reads;

 private:
  std::vector<std::byte> space_ = std::vector<std::byte>(200'000);
  std::vector<std::byte> text_;
  std::vector<std::span<const std::byte>> pieces_;
};

class ConnectionTest : public ::testing::Test {
 protected:
  // The connection of a protocol, and the peer's end of it.
  Descriptor Open(const std::shared_ptr<EchoProtocol>& protocol) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    connections_.Add(Descriptor(ends[0]), protocol);
    return Descriptor(ends[1]);
  }
  // Runs the loop until all connections have been closed.
  void Run() {
    loop_.Finish();
    loop_.Run();
  }
  static void SendAll(const Descriptor& peer, std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL);
      ASSERT_GT(sent, 0);
      text.remove_prefix(static_cast<size_t>(sent));
    }
  }
  static std::string ReadAll(const Descriptor& peer, size_t size) {
    std::string text;
    std::array<char, 4096> buffer{};
    while (text.size() < size) {
      const ssize_t got = ::recv(peer.get(), buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      text.append(buffer.data(), static_cast<size_t>(got));
    }
    return text;
  }

  Loop loop_;
  int removed_ = 0;
  ConnectionSet connections_{loop_, [this] { ++removed_; }};
  std::shared_ptr<EchoProtocol> protocol_ = std::make_shared<EchoProtocol>();
};

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
