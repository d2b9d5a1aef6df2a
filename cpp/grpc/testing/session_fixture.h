// A session without sockets, and a client of nghttp2's on the other side.
#pragma once

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grpc/methods.h"
#include "grpc/service.h"
#include "grpc/session.h"
#include "grpc/testing/client.h"
#include "memory/pool.h"

namespace despina::grpc::testing {

// Notes what it is told, and answers when the test says so.
class RecordingHandler final : public CallHandler {
 public:
  struct Record {
    std::vector<std::string> messages;
    std::vector<Charge> charges;
    bool ended = false;
    int gone = 0;
    int sent = 0;
    std::shared_ptr<Call> call;
  };
  explicit RecordingHandler(Record& record) : record_(record) {}

  void OnMessage(Call& call, Message message) override {
    record_.call = call.shared_from_this();
    record_.messages.emplace_back(reinterpret_cast<const char*>(message.bytes.data()),
                                  message.bytes.size());
    record_.charges.push_back(std::move(message.charge));
  }
  void OnEnd(Call&) override { record_.ended = true; }
  void OnGone() override { ++record_.gone; }
  void OnSent(Call&) override { ++record_.sent; }

 private:
  Record& record_;
};

class SessionTest : public ::testing::Test, public net::Transport, public Router, protected Client {
 protected:
  ~SessionTest() override { Close(); }

  void Open(const SessionLimits& limits = {}, std::string refusal = "") {
    environment_ = std::make_shared<SessionEnvironment>(limits, budget_, pool_, clock_);
    environment_->fields.AddAll();
    session_ = std::make_shared<Session>(environment_, session_loop_, end_of_turn_);
    if (!refusal.empty()) session_->RefuseAll(std::move(refusal));
    BeginClient();
    session_->OnOpened(*this);
  }
  void Close() {
    if (session_) session_->OnClosed();
    session_.reset();
  }

  // Bytes both ways until nobody has anything to say.
  void Exchange() {
    for (bool moved = true; moved;) {
      const std::string bytes = FromClient();
      moved = !bytes.empty();
      if (moved) Feed(bytes);
      session_loop_.FlushAll();
      moved |= DrainServer();
    }
  }
  void Feed(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::span<std::byte> space = session_->ReadSpace();
      const std::string_view part = bytes.substr(0, space.size());
      std::ranges::copy(std::as_bytes(std::span(part.data(), part.size())), space.begin());
      session_->OnRead(part.size());
      bytes.remove_prefix(part.size());
    }
  }
  // Gives the client what the session has; whether that was anything.
  bool DrainServer() {
    bool any = false;
    while (!deaf_client_) {
      const auto output = session_->Output();
      if (output.empty()) break;
      any = true;
      size_t size = 0;
      for (const auto& piece : output) {
        server_bytes_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        Receive({reinterpret_cast<const char*>(piece.data()), piece.size()});
        size += piece.size();
      }
      session_->OnWritten(size);
    }
    return any;
  }

  void Resume() override { ++resumed_; }
  void OnCall(Call& call) override {
    call.Accept(std::make_unique<RecordingHandler>(records_[std::string(call.head().path())]));
  }
  RecordingHandler::Record& unary() { return records_[kUnary]; }
  RecordingHandler::Record& stream() { return records_[kStream]; }
  protocol::EncodedMessage Text(std::string_view text) { return MessageOf(text); }

  BufferPool pool_;
  ManualClock clock_;
  uint64_t budget_ = uint64_t{1} << 30;
  std::shared_ptr<SessionEnvironment> environment_;
  net::Loop loop_;
  SessionLoop session_loop_{loop_, *this};
  net::EndOfTurn end_of_turn_{loop_, [] {}};
  std::map<std::string, RecordingHandler::Record, std::less<>> records_;
  std::shared_ptr<Session> session_;
  int resumed_ = 0;

  // The client reads nothing.
  bool deaf_client_ = false;
  std::string server_bytes_;
};

}  // namespace despina::grpc::testing
