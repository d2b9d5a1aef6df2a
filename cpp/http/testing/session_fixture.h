// A session without a connection, for tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/session.h"
#include "memory/pool.h"

namespace despina::http::testing {

inline std::string TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Wants the bodies of POST, and keeps what it was given.
class RecordingHandler final : public Handler {
 public:
  Decision OnHead(const Head& head) override {
    heads.push_back(head);
    if (head.method != Method::kPost) {
      Answer answer;
      answer.text = "read " + head.path;
      return {.answer = std::move(answer)};
    }
    return {
        .answer = std::nullopt, .aligned = aligned, .compressed = head.content_encoding == "gzip"};
  }
  void OnRequest(Session& session, const Head&, Slice body) override {
    bodies.push_back(TextOf(body.bytes()));
    last_body = std::move(body);
    if (answers_at_once) AnswerNow(session);
  }
  void OnGone() override { ++gone; }

  void AnswerNow(Session& session) const {
    Answer answer;
    answer.text = "got ";
    answer.slices.push_back(last_body);
    session.Respond(std::move(answer));
  }

  uint64_t aligned = 0;
  bool answers_at_once = true;
  std::vector<Head> heads;
  std::vector<std::string> bodies;
  Slice last_body;
  int gone = 0;
};

// Is the session's connection.
class SessionTest : public ::testing::Test, public net::Transport {
 protected:
  void Open(SessionLimits limits = {},
            uint64_t max_bytes_in_flight = std::numeric_limits<uint64_t>::max() / 2) {
    environment_ = std::make_shared<SessionEnvironment>(limits, max_bytes_in_flight, pool_, clock_);
    auto handler = std::make_unique<RecordingHandler>();
    handler_ = handler.get();
    session_ = std::make_shared<Session>(environment_, std::move(handler));
    session_->OnOpened(*this);
    sent_.clear();
  }

  // Gives the session bytes, so many at a time, as a connection does. False when it did not want
  // all of them.
  bool Feed(std::string_view bytes, size_t step = std::numeric_limits<size_t>::max()) {
    while (!bytes.empty()) {
      const std::span<std::byte> space = session_->ReadSpace();
      const size_t size = std::min({space.size(), step, bytes.size()});
      if (size == 0) return false;
      std::memcpy(space.data(), bytes.data(), size);
      session_->OnRead(size);
      bytes.remove_prefix(size);
      Drain();
    }
    return true;
  }
  // Takes what the session sends, `write_step_` bytes at a time; 0: nothing.
  void Drain() {
    while (write_step_ > 0 && !session_->Output().empty()) {
      const std::span<const std::byte> piece = session_->Output()[0];
      const size_t size = std::min(piece.size(), write_step_);
      sent_ += TextOf(piece.first(size));
      session_->OnWritten(size);
    }
  }
  std::string Exchange(std::string_view bytes) {
    sent_.clear();
    Feed(bytes);
    return sent_;
  }
  int StatusOfLast() const {
    const size_t at = sent_.rfind("HTTP/1.1 ");
    return at == std::string::npos ? 0 : std::stoi(sent_.substr(at + 9, 3));
  }
  void ExpectRejected(std::string_view request, int status) {
    Open(limits_);
    Feed(request);
    EXPECT_EQ(StatusOfLast(), status) << request.substr(0, 200) << "\n" << sent_;
    EXPECT_NE(sent_.find("Connection: close\r\n"), std::string::npos) << sent_;
    EXPECT_EQ(session_->phase(), net::Protocol::Phase::kDraining);
    EXPECT_TRUE(handler_->bodies.empty());
  }

  void Resume() override { Drain(); }

  BufferPool pool_;
  ManualClock clock_;
  SessionLimits limits_;
  std::shared_ptr<SessionEnvironment> environment_;
  std::shared_ptr<Session> session_;
  RecordingHandler* handler_ = nullptr;
  std::string sent_;
  size_t write_step_ = std::numeric_limits<size_t>::max();
};

inline constexpr std::string_view kGet = "GET /v2?q=1 HTTP/1.1\r\nHost: x\r\n\r\n";
inline constexpr std::string_view kPost = "POST /infer HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
inline constexpr std::string_view kGetAnswer =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\nread /v2";
inline constexpr std::string_view kPostAnswer =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\ngot hello";
inline constexpr std::string_view kChunkedPost =
    "POST /infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    "2\r\nhe\r\n3;name=value\r\nllo\r\n0\r\nTrailer: dropped\r\n\r\n";

}  // namespace despina::http::testing
