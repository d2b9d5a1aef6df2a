// A session without sockets, and a client of nghttp2's on the other side.
#pragma once

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grpc/methods.h"
#include "grpc/service.h"
#include "grpc/session.h"
#include "memory/pool.h"

namespace despina::grpc::testing {

inline std::string Framed(std::string_view message) {
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    out += static_cast<char>(message.size() >> static_cast<unsigned>(shift));
  }
  return out.append(message);
}

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

// What a client sees of one call.
struct Answered {
  std::map<std::string, std::string> fields;
  std::string body;
  std::optional<uint32_t> closed;

  std::string status() const {
    const auto found = fields.find("grpc-status");
    return found == fields.end() ? "none" : found->second;
  }
};

class SessionTest : public ::testing::Test, public net::Transport, public Router {
 protected:
  ~SessionTest() override {
    Close();
    nghttp2_session_del(client_);
  }

  void Open(const SessionLimits& limits = {}, std::string refusal = "") {
    environment_ = std::make_shared<SessionEnvironment>(limits, budget_, pool_, clock_);
    environment_->fields.AddAll();
    session_ = std::make_shared<Session>(environment_, session_loop_, end_of_turn_);
    if (!refusal.empty()) session_->RefuseAll(std::move(refusal));
    MakeClient();
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
  std::string FromClient() {
    std::string out;
    const uint8_t* data = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(client_, &data)) > 0;) {
      out.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    }
    return out;
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
        nghttp2_session_mem_recv(client_, reinterpret_cast<const uint8_t*>(piece.data()),
                                 piece.size());
        size += piece.size();
      }
      session_->OnWritten(size);
    }
    return any;
  }

  // A call with these messages already framed; `end`: nothing more comes.
  int32_t Start(std::string path, std::string body, bool end = true,
                std::vector<std::pair<std::string, std::string>> fields = {},
                std::string method = "POST", std::string type = "application/grpc") {
    fields.insert(fields.begin(), {{":method", std::move(method)},
                                   {":scheme", "http"},
                                   {":authority", "test"},
                                   {":path", std::move(path)},
                                   {"content-type", std::move(type)},
                                   {"te", "trailers"}});
    std::vector<nghttp2_nv> head;
    for (auto& [name, value] : fields) {
      head.push_back({reinterpret_cast<uint8_t*>(name.data()),
                      reinterpret_cast<uint8_t*>(value.data()), name.size(), value.size(),
                      NGHTTP2_NV_FLAG_NONE});
    }
    auto upload = std::make_unique<Upload>(std::move(body), end);
    nghttp2_data_provider provider{.source = {.ptr = upload.get()}, .read_callback = ReadUpload};
    const int32_t stream =
        nghttp2_submit_request(client_, nullptr, head.data(), head.size(), &provider, nullptr);
    uploads_[stream] = std::move(upload);
    return stream;
  }
  void SendMore(int32_t stream, std::string_view body, bool end) {
    uploads_[stream]->body += body;
    uploads_[stream]->end = end;
    nghttp2_session_resume_data(client_, stream);
  }

  void Resume() override { ++resumed_; }
  void OnCall(Call& call) override {
    const Method* const method = FindMethod(call.head().path);
    call.Accept(std::make_unique<RecordingHandler>(records_[call.head().path]), *method);
  }
  RecordingHandler::Record& unary() { return records_[kUnary]; }
  RecordingHandler::Record& stream() { return records_[kStream]; }
  protocol::EncodedMessage Text(std::string_view text) { return *MessageOf(text, pool_); }

  static constexpr const char* kUnary = "/inference.GRPCInferenceService/ModelInfer";
  static constexpr const char* kStream = "/inference.GRPCInferenceService/ModelStreamInfer";

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

  nghttp2_session* client_ = nullptr;
  // The client reads nothing.
  bool deaf_client_ = false;
  std::map<int32_t, Answered> answered_;
  std::optional<uint32_t> go_away_;
  std::string go_away_text_;
  int pings_ = 0;
  std::string server_bytes_;

 private:
  struct Upload {
    Upload(std::string the_body, bool the_end) : body(std::move(the_body)), end(the_end) {}
    std::string body;
    bool end;
  };

  void MakeClient() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnStreamClose);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_del(client_);
    nghttp2_session_client_new(&client_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(client_, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  static SessionTest& Of(void* user) { return *static_cast<SessionTest*>(user); }
  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                      void* user) {
    Of(user).answered_[frame->hd.stream_id].fields.emplace(
        std::string(reinterpret_cast<const char*>(name), name_size),
        std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }
  static int OnData(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* data, size_t size,
                    void* user) {
    Of(user).answered_[stream].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int OnStreamClose(nghttp2_session*, int32_t stream, uint32_t code, void* user) {
    Of(user).answered_[stream].closed = code;
    return 0;
  }
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    SessionTest& test = Of(user);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) ++test.pings_;
    if (frame->hd.type != NGHTTP2_GOAWAY) return 0;
    test.go_away_ = frame->goaway.error_code;
    test.go_away_text_.assign(reinterpret_cast<const char*>(frame->goaway.opaque_data),
                              frame->goaway.opaque_data_len);
    return 0;
  }
  static ssize_t ReadUpload(nghttp2_session*, int32_t, uint8_t* buffer, size_t size,
                            uint32_t* flags, nghttp2_data_source* source, void*) {
    Upload& upload = *static_cast<Upload*>(source->ptr);
    const size_t part = std::min(size, upload.body.size());
    std::copy_n(upload.body.begin(), part, buffer);
    upload.body.erase(0, part);
    if (upload.body.empty() && upload.end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (part == 0) {
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(part);
  }

  std::map<int32_t, std::unique_ptr<Upload>> uploads_;
};

}  // namespace despina::grpc::testing
