#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "grpc/metadata.h"
#include "grpc/session.h"

namespace despina::grpc {
namespace {

// Streams that a client may reset at once, and in each second. Clients with short deadlines reset
// many when the server is slow.
constexpr uint64_t kResetBurst = 10'000;
constexpr uint64_t kResetRate = 2'000;
// What a client is sent in one frame, if it takes that much.
constexpr ssize_t kMaxFrame = ssize_t{256} << 10;
// Of a connection, in all: each costs a stream, and a client that knows HTTP/2 sends none.
constexpr unsigned kMaxInvalidFrames = 1000;
// A head that is so many times larger than the limit ends the connection.
constexpr size_t kFarTooLarge = 16;

Session& SessionOf(void* user) { return *static_cast<Session*>(user); }

std::string_view TextOf(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// A field whose texts outlive the call.
nghttp2_nv Field(std::string_view name, std::string_view value, uint8_t flags) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), flags};
}

constexpr uint8_t kStatic = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
constexpr uint8_t kCopyValue = NGHTTP2_NV_FLAG_NO_COPY_NAME;

// The number of a code, as a text.
class CodeText {
 public:
  explicit CodeText(Code code)
      : end_(std::to_chars(digits_.data(), digits_.data() + digits_.size(), static_cast<int>(code))
                 .ptr) {}
  std::string_view text() const { return {digits_.data(), end_}; }

 private:
  std::array<char, 11> digits_{};
  const char* end_;
};

using CallbacksPointer =
    std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)>;
using OptionPointer = std::unique_ptr<nghttp2_option, decltype(&nghttp2_option_del)>;

OptionPointer MakeOptions() {
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  // The window of a stream says how far its handler is.
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_stream_reset_rate_limit(option, kResetBurst, kResetRate);
  return {option, nghttp2_option_del};
}

SessionMemory& MemoryOf(void* user) { return *static_cast<SessionMemory*>(user); }

nghttp2_mem FunctionsOf(SessionMemory& memory) {
  return {.mem_user_data = &memory,
          .malloc = [](size_t size, void* user) { return MemoryOf(user).Allocate(size); },
          .free = [](void* block, void* user) { MemoryOf(user).Free(block); },
          .calloc = [](size_t count, size_t size,
                       void* user) { return MemoryOf(user).AllocateZeroed(count, size); },
          .realloc = [](void* block, size_t size,
                        void* user) { return MemoryOf(user).Reallocate(block, size); }};
}

}  // namespace

// Called by nghttp2 while it reads or writes, on the loop's thread. It is written in C: what is
// thrown where there is no memory ends the session, and does not go through it.
template <auto kCallback>
struct Guarded;

template <class... Arguments, class Returned, Returned (*kCallback)(Arguments...)>
struct Guarded<kCallback> {
  static Returned Call(Arguments... arguments) noexcept {
    try {
      return kCallback(arguments...);
    } catch (const std::bad_alloc&) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }
};

// None throws anything else: that would end the process.
struct Session::Callbacks {
  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t flags,
                      void* user);
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int OnInvalidFrame(nghttp2_session*, const nghttp2_frame* frame, int error, void* user);
  static int OnData(nghttp2_session*, uint8_t flags, int32_t stream, const uint8_t* data,
                    size_t size, void* user);
  static int OnClosed(nghttp2_session*, int32_t stream, uint32_t error_code, void* user);
  static int OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static ssize_t ReadLength(nghttp2_session*, uint8_t type, int32_t stream,
                            int32_t connection_window, int32_t stream_window,
                            uint32_t max_frame_size, void* user);
  // Says how much of a call's messages goes into a frame.
  static ssize_t Read(nghttp2_session*, int32_t stream, uint8_t* buffer, size_t size,
                      uint32_t* flags, nghttp2_data_source* source, void* user);
  // Moves that.
  static int SendData(nghttp2_session*, nghttp2_frame* frame, const uint8_t* head, size_t size,
                      nghttp2_data_source* source, void* user);

  // The status that ends a call's answer.
  static int SubmitTrailers(nghttp2_session* session, const Call& call);
  static Call* CallOf(Session& session, int32_t stream);
};

nghttp2_session* Session::NewSession() {
  static const CallbacksPointer callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    nghttp2_session_callbacks_new(&made);
    nghttp2_session_callbacks_set_on_begin_headers_callback(
        made, Guarded<Callbacks::OnBeginHeaders>::Call);
    nghttp2_session_callbacks_set_on_header_callback(made, Guarded<Callbacks::OnHeader>::Call);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, Guarded<Callbacks::OnFrame>::Call);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
        made, Guarded<Callbacks::OnInvalidFrame>::Call);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made,
                                                              Guarded<Callbacks::OnData>::Call);
    nghttp2_session_callbacks_set_on_stream_close_callback(made,
                                                           Guarded<Callbacks::OnClosed>::Call);
    nghttp2_session_callbacks_set_on_frame_send_callback(made,
                                                         Guarded<Callbacks::OnFrameSent>::Call);
    nghttp2_session_callbacks_set_data_source_read_length_callback(
        made, Guarded<Callbacks::ReadLength>::Call);
    nghttp2_session_callbacks_set_send_data_callback(made, Guarded<Callbacks::SendData>::Call);
    return CallbacksPointer(made, nghttp2_session_callbacks_del);
  }();
  static const OptionPointer options = MakeOptions();
  nghttp2_mem memory = FunctionsOf(memory_);
  nghttp2_session* made = nullptr;
  nghttp2_session_server_new3(&made, callbacks.get(), this, options.get(), &memory);
  return made;
}

Call* Session::Callbacks::CallOf(Session& session, int32_t stream) {
  if (session.current_ == nullptr || session.current_->stream_ != stream) {
    session.current_ =
        static_cast<Call*>(nghttp2_session_get_stream_user_data(session.session_, stream));
  }
  return session.current_;
}

int Session::Callbacks::OnBeginHeaders(nghttp2_session* nghttp2, const nghttp2_frame* frame,
                                       void* user) {
  Session& session = SessionOf(user);
  session.control_frames_ = 0;
  session.head_open_ = frame->hd.stream_id;
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  const int32_t stream = frame->hd.stream_id;
  session.current_ = &session.AddCall(stream);
  nghttp2_session_set_stream_user_data(nghttp2, stream, session.current_);
  return 0;
}

int Session::Callbacks::OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                                 size_t name_size, const uint8_t* value, size_t value_size,
                                 uint8_t /*flags*/, void* user) {
  // Trailers say nothing that is looked at.
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  Session& session = SessionOf(user);
  Call* const call = CallOf(session, frame->hd.stream_id);
  if (call == nullptr || call->AddField(TextOf(name, name_size), TextOf(value, value_size))) {
    return 0;
  }
  if (call->head().bytes <= kFarTooLarge * session.environment_->limits.max_header_bytes) return 0;
  if (!session.deaf_) session.Terminate(NGHTTP2_ENHANCE_YOUR_CALM, "the head is far too large");
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int Session::Callbacks::OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  Session& session = SessionOf(user);
  session.preface_seen_ = true;
  session.EndHead();
  if (session.deaf_) return 0;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
      break;
    case NGHTTP2_PING:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        session.OnPingAnswered();
      } else {
        session.CountControlFrame();
        session.OnPing();
      }
      return 0;
    case NGHTTP2_WINDOW_UPDATE:
      return 0;
    default:
      session.CountControlFrame();
      return 0;
  }
  // Padding is nothing either.
  if (frame->hd.type == NGHTTP2_DATA && frame->hd.length <= frame->data.padlen) {
    session.CountControlFrame();
  }
  Call* const call = CallOf(session, frame->hd.stream_id);
  if (call == nullptr) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    call->OnHead();
    // It was on its way when the others were told.
    if (session.stopping_) call->OnStopping();
  }
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) call->OnEnd();
  return 0;
}

int Session::Callbacks::OnInvalidFrame(nghttp2_session*, const nghttp2_frame*, int /*error*/,
                                       void* user) {
  Session& session = SessionOf(user);
  session.EndHead();
  if (session.deaf_ || ++session.invalid_frames_ <= kMaxInvalidFrames) return 0;
  session.Terminate(NGHTTP2_ENHANCE_YOUR_CALM, "too many frames that cannot be");
  return 0;
}

int Session::Callbacks::OnData(nghttp2_session*, uint8_t /*flags*/, int32_t stream,
                               const uint8_t* data, size_t size, void* user) {
  Session& session = SessionOf(user);
  session.control_frames_ = 0;
  // What the connection as a whole may send is bounded by its streams.
  session.ConsumeConnection(size);
  Call* const call = CallOf(session, stream);
  if (call == nullptr || session.deaf_) return 0;
  call->OnData(std::as_bytes(std::span(data, size)));
  return 0;
}

int Session::Callbacks::OnClosed(nghttp2_session*, int32_t stream, uint32_t /*error_code*/,
                                 void* user) {
  Session& session = SessionOf(user);
  // Nothing is told of the rest of its trailers.
  if (session.head_open_ == stream) session.EndHead();
  Call* const closed = CallOf(session, stream);
  if (closed == nullptr) return 0;
  session.RemoveCall(*closed)->OnClosed();
  return 0;
}

int Session::Callbacks::OnFrameSent(nghttp2_session* nghttp2, const nghttp2_frame* frame,
                                    void* user) {
  const uint8_t type = frame->hd.type;
  const bool of_answer = type == NGHTTP2_HEADERS || type == NGHTTP2_DATA;
  // A window tells the client that it is heard, and forgives its pings as well. As gRPC does it.
  if (of_answer || type == NGHTTP2_WINDOW_UPDATE) SessionOf(user).OnSomethingSent();
  if (!of_answer) return 0;
  const bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  // The rest of what the client sends is not wanted: it has its answer.
  if (ended && nghttp2_session_get_stream_remote_close(nghttp2, frame->hd.stream_id) == 0) {
    return nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                     NGHTTP2_NO_ERROR);
  }
  return 0;
}

ssize_t Session::Callbacks::ReadLength(nghttp2_session*, uint8_t /*type*/, int32_t /*stream*/,
                                       int32_t connection_window, int32_t stream_window,
                                       uint32_t max_frame_size, void* /*user*/) {
  return std::min({ssize_t{connection_window}, ssize_t{stream_window},
                   static_cast<ssize_t>(max_frame_size), kMaxFrame});
}

ssize_t Session::Callbacks::Read(nghttp2_session* nghttp2, int32_t /*stream*/, uint8_t* /*buffer*/,
                                 size_t size, uint32_t* flags, nghttp2_data_source* source,
                                 void* /*user*/) {
  Call& call = *static_cast<Call*>(source->ptr);
  const size_t part = std::min(size, call.queue_.size());
  const bool last = call.complete() && part == call.queue_.size();
  call.deferred_ = part == 0 && !last;
  if (call.deferred_) return NGHTTP2_ERR_DEFERRED;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (last) {
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const int error = SubmitTrailers(nghttp2, call);
    if (error != 0 && nghttp2_is_fatal(error) != 0) return error;
  }
  return static_cast<ssize_t>(part);
}

int Session::Callbacks::SendData(nghttp2_session*, nghttp2_frame* /*frame*/, const uint8_t* head,
                                 size_t size, nghttp2_data_source* source, void* user) {
  constexpr size_t kHead = 9;
  Session& session = SessionOf(user);
  if (session.outbox_full()) {
    session.blocked_ = true;
    return NGHTTP2_ERR_WOULDBLOCK;
  }
  Call& call = *static_cast<Call*>(source->ptr);
  if (!session.outbox_.Copy(std::as_bytes(std::span(head, kHead))) ||
      !call.queue_.Move(size, session.outbox_)) {
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  call.OnMoved(size);
  return 0;
}

int Session::Callbacks::SubmitTrailers(nghttp2_session* session, const Call& call) {
  const CodeText code(call.status_.code());
  const std::string message = PercentEncoded(call.status_.message());
  const std::array<nghttp2_nv, 2> fields = {Field("grpc-status", code.text(), kCopyValue),
                                            Field("grpc-message", message, kCopyValue)};
  return nghttp2_submit_trailer(session, call.stream_, fields.data(), message.empty() ? 1 : 2);
}

void Session::BeginAnswer(Call& call) {
  const bool compressed = call.compressor_ != nullptr;
  const bool gzip = call.head_.answers_coding == frontend::Coding::kGzip;
  const std::array<nghttp2_nv, 3> fields = {
      Field(":status", "200", kStatic), Field("content-type", "application/grpc", kStatic),
      Field("grpc-encoding", gzip ? "gzip" : "deflate", kStatic)};
  nghttp2_data_provider messages{};
  messages.source.ptr = &call;
  messages.read_callback = Guarded<Callbacks::Read>::Call;
  Check(nghttp2_submit_response(session_, call.stream_, fields.data(), compressed ? 3 : 2,
                                &messages));
}

void Session::AnswerWithoutMessage(Call& call, int http_status) {
  call.begun_ = call.finished_ = true;
  std::array<char, 4> digits{};
  const char* const end =
      std::to_chars(digits.data(), digits.data() + digits.size(), http_status).ptr;
  const CodeText code(call.status_.code());
  const std::string message = PercentEncoded(call.status_.message());
  std::array<nghttp2_nv, 5> fields{};
  size_t count = 0;
  fields[count++] = Field(":status", {digits.data(), end}, kCopyValue);
  // One that is no call of gRPC is told so by the status of HTTP alone.
  if (http_status == 200) {
    fields[count++] = Field("content-type", "application/grpc", kStatic);
    fields[count++] = Field("grpc-status", code.text(), kCopyValue);
    if (!message.empty()) fields[count++] = Field("grpc-message", message, kCopyValue);
    if (!CodingNamed(call.head_.encoding)) {
      fields[count++] = Field("grpc-accept-encoding", kTakenCodings, kStatic);
    }
  }
  Check(nghttp2_submit_response(session_, call.stream_, fields.data(), count, nullptr));
  Flush();
}

void Session::ContinueAnswer(Call& call) {
  call.deferred_ = false;
  Check(nghttp2_session_resume_data(session_, call.stream_));
}

}  // namespace despina::grpc
