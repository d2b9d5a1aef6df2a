// A protocol that sends back what it gets, and connections that speak it, for tests.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/connection.h"
#include "net/stream.h"

namespace despina::net::testing {

// Sends back what it reads, in pieces of a few bytes; reads only when all has been sent.
class EchoProtocol final : public Protocol {
 public:
  void OnOpened(Transport& to) override { transport = &to; }
  void OnClosed() override { ++closed; }
  std::span<std::byte> ReadSpace() override {
    return pieces_.empty() ? std::span(space) : std::span<std::byte>();
  }
  void OnRead(size_t size) override {
    reads.push_back(size);
    text_.assign(space.begin(), space.begin() + static_cast<std::ptrdiff_t>(size));
    if (on_read) on_read();
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
  std::function<void()> on_read;
  std::vector<std::byte> space = std::vector<std::byte>(200'000);

 private:
  std::vector<std::byte> text_;
  std::vector<std::span<const std::byte>> pieces_;
};

class ConnectionTest : public ::testing::Test {
 protected:
  // The connection of a protocol, and the peer's end of it.
  Descriptor Open(const std::shared_ptr<EchoProtocol>& protocol) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    connections_.Add({Descriptor(ends[0]), std::make_unique<PlainStream>(ends[0])}, protocol);
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

}  // namespace despina::net::testing
