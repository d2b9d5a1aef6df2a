#include "load/grpc_lane.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <new>
#include <optional>
#include <string_view>

#include "base/text.h"

namespace despina::load {
namespace {

// As clients of gRPC announce them; larger ones keep the client from being the limit.
constexpr uint32_t kStreamWindow = 8U << 20;
constexpr int32_t kConnectionWindow = 64 << 20;
constexpr uint32_t kMaxFrame = 1U << 20;
// What is moved into the outbox before the socket takes it.
constexpr size_t kMaxOutbox = size_t{512} << 10;
// Of the text that a server closes with.
constexpr size_t kKeptOfGoAway = 1024;

using CallbacksPointer =
    std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)>;

// A field whose texts outlive the call.
nghttp2_nv Field(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

std::string TextOf(const nghttp2_goaway& goaway) {
  const std::string_view text(reinterpret_cast<const char*>(goaway.opaque_data),
                              std::min(goaway.opaque_data_len, kKeptOfGoAway));
  return Concat(nghttp2_http2_strerror(goaway.error_code), text.empty() ? "" : ": ", text);
}

CallReader::Sink KeeperOf(const GrpcTarget& target) {
  if (!target.kept) return nullptr;
  return [kept = target.kept](std::span<const std::byte> piece) {
    kept->append(reinterpret_cast<const char*>(piece.data()), piece.size());
  };
}

}  // namespace

// Called by nghttp2 while it reads or writes. None of them throws.
struct GrpcConnection::Callbacks {
  static GrpcConnection& Of(void* user) { return *static_cast<GrpcConnection*>(user); }
  // Null for a call that was given up.
  static GrpcLane* LaneOf(nghttp2_session* session, int32_t stream) {
    return static_cast<GrpcLane*>(nghttp2_session_get_stream_user_data(session, stream));
  }
  static nghttp2_session* NewSession(GrpcConnection& connection);

  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t /*flags*/,
                      void* /*user*/) {
    GrpcLane* const lane = LaneOf(session, frame->hd.stream_id);
    if (lane == nullptr) return 0;
    lane->reader_.ReadField({reinterpret_cast<const char*>(name), name_size},
                            {reinterpret_cast<const char*>(value), value_size});
    return 0;
  }

  static int OnData(nghttp2_session* session, uint8_t /*flags*/, int32_t stream,
                    const uint8_t* data, size_t size, void* user) {
    GrpcLane* const lane = LaneOf(session, stream);
    if (lane == nullptr) return 0;
    GrpcFeed& feed = *Of(user).feed_;
    const size_t ended = lane->reader_.ReadBody(std::as_bytes(std::span(data, size)));
    if (!feed.target->stream) return 0;
    for (size_t i = ended; i > 0; --i) feed.dispatcher.Responded(*lane, Of(user).read_at_);
    return 0;
  }

  static int OnStreamClosed(nghttp2_session* session, int32_t stream, uint32_t error_code,
                            void* user) {
    --Of(user).calls_;
    GrpcLane* const lane = LaneOf(session, stream);
    if (lane != nullptr) Of(user).OnAnswered(*lane, error_code);
    return 0;
  }

  // A call that the server does not know of waits for the next connection.
  static int OnNotSent(nghttp2_session* session, const nghttp2_frame* frame, int error,
                       void* /*user*/) {
    GrpcLane* const lane = LaneOf(session, frame->hd.stream_id);
    if (lane == nullptr || error != NGHTTP2_ERR_START_STREAM_NOT_ALLOWED) return 0;
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, nullptr);
    lane->state_ = GrpcLane::State::kWaiting;
    return 0;
  }

  static int OnFrame(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_GOAWAY) return 0;
    Of(user).why_closed_ = Concat("the server ended the connection: ", TextOf(frame->goaway));
    return 0;
  }

  static int OnFrameSent(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
    // What the server sends makes no sense: nghttp2 says so, and why.
    if (frame->hd.type != NGHTTP2_GOAWAY) return 0;
    Of(user).why_closed_ = Concat("malformed answer: ", TextOf(frame->goaway));
    return 0;
  }

  // Says how much of a call's request goes into a frame.
  static ssize_t Read(nghttp2_session* /*session*/, int32_t /*stream*/, uint8_t* /*buffer*/,
                      size_t size, uint32_t* flags, nghttp2_data_source* source, void* user) {
    const auto& lane = *static_cast<const GrpcLane*>(source->ptr);
    const size_t left = Of(user).feed_->target->request.size() - lane.sent_;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (left <= size) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(std::min(left, size));
  }

  // Moves that.
  static int SendData(nghttp2_session* /*session*/, nghttp2_frame* frame, const uint8_t* head,
                      size_t size, nghttp2_data_source* source, void* user) {
    constexpr size_t kHead = 9;
    GrpcConnection& connection = Of(user);
    if (connection.outbox_full()) return NGHTTP2_ERR_WOULDBLOCK;
    auto& lane = *static_cast<GrpcLane*>(source->ptr);
    // A frame that has begun is ended also when its call was given up, and the lane has another.
    const bool current = lane.stream_ == frame->hd.stream_id;
    const std::span<const std::byte> request = connection.feed_->target->request;
    const Slice part({}, request.subspan(current ? lane.sent_ : 0, size));
    if (current) lane.sent_ += size;
    grpc::Outbox& outbox = connection.outbox_;
    const bool added = outbox.Copy(std::as_bytes(std::span(head, kHead))) && outbox.Add(part);
    return added ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }
};

nghttp2_session* GrpcConnection::Callbacks::NewSession(GrpcConnection& connection) {
  static const CallbacksPointer callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    nghttp2_session_callbacks_new(&made);
    nghttp2_session_callbacks_set_on_header_callback(made, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, OnData);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, OnStreamClosed);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(made, OnNotSent);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, OnFrame);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, OnFrameSent);
    nghttp2_session_callbacks_set_send_data_callback(made, SendData);
    return CallbacksPointer(made, nghttp2_session_callbacks_del);
  }();
  nghttp2_session* made = nullptr;
  // It fails only where there is no memory.
  if (nghttp2_session_client_new(&made, callbacks.get(), &connection) != 0) throw std::bad_alloc();
  return made;
}

GrpcConnection::GrpcConnection(std::shared_ptr<GrpcFeed> feed)
    : feed_(std::move(feed)),
      end_of_turn_(feed_->loop,
                   [this] {
                     if (transport_ != nullptr) transport_->Resume();
                   }),
      outbox_(feed_->pool) {}

GrpcConnection::~GrpcConnection() { nghttp2_session_del(session_); }

void GrpcConnection::Begin(GrpcLane& lane) {
  if (transport_ != nullptr && nghttp2_session_check_request_allowed(session_) != 0) {
    return Submit(lane);
  }
  lane.state_ = GrpcLane::State::kWaiting;
  // Otherwise once the one that there is has gone.
  if (connection_ || std::exchange(connecting_, true)) return;
  // Not from within this call: it may fail at once.
  feed_->loop.Post([self = shared_from_this()] { self->Connect(); });
}

void GrpcConnection::Submit(GrpcLane& lane) {
  const GrpcTarget& target = *feed_->target;
  std::vector<nghttp2_nv> head = {
      Field(":method", "POST"),    Field(":scheme", "http"),
      Field(":path", target.path), Field(":authority", target.authority),
      Field("te", "trailers"),     Field("content-type", "application/grpc")};
  for (const auto& [name, value] : target.metadata) head.push_back(Field(name, value));
  nghttp2_data_provider request{.source = {.ptr = &lane}, .read_callback = Callbacks::Read};
  lane.state_ = GrpcLane::State::kCalling;
  lane.sent_ = 0;
  lane.stream_ =
      nghttp2_submit_request(session_, nullptr, head.data(), head.size(), &request, &lane);
  // There is no memory.
  if (lane.stream_ < 0) closing_ = true;
  ++calls_;
  end_of_turn_.Schedule();
}

void GrpcConnection::Abort(GrpcLane& lane, std::string_view why) {
  const GrpcLane::State state = std::exchange(lane.state_, GrpcLane::State::kIdle);
  if (state == GrpcLane::State::kIdle) return;
  if (transport_ == nullptr) {
    feed_->dispatcher.Fail(Concat("cannot connect to ", feed_->target->endpoint.text(), ": ", why));
    return;
  }
  if (state == GrpcLane::State::kCalling) {
    nghttp2_session_set_stream_user_data(session_, lane.stream_, nullptr);
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, lane.stream_, NGHTTP2_CANCEL);
    end_of_turn_.Schedule();
  }
  feed_->dispatcher.Ended(lane, {.end = feed_->clock.Now(), .failure = why});
  feed_->dispatcher.Ready(lane);
}

void GrpcConnection::Close() {
  // Each of its lanes says so.
  if (std::exchange(closing_, true) && !connection_) return;
  for (GrpcLane* const lane : lanes_) lane->state_ = GrpcLane::State::kIdle;
  if (const auto keep = connection_) keep->Close();
}

void GrpcConnection::Connect() {
  connecting_ = false;
  if (closing_) return;
  connect_failure_.clear();
  why_closed_.clear();
  auto connecting = net::Connect(feed_->target->endpoint,
                                 [this](const std::string& why) { connect_failure_ = why; });
  if (!connecting.ok()) {
    connect_failure_ = connecting.status().message();
    return OnConnectionGone();
  }
  connection_ =
      std::make_shared<net::Connection>(feed_->loop, *std::move(connecting), shared_from_this(),
                                        [this](net::Connection&) { OnConnectionGone(); });
  const auto keep = connection_;
  keep->Start();
}

void GrpcConnection::OnOpened(net::Transport& transport) {
  transport_ = &transport;
  connect_failure_.clear();
  session_ = Callbacks::NewSession(*this);
  const std::array<nghttp2_settings_entry, 3> settings = {{
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, kMaxFrame},
  }};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  for (GrpcLane* const lane : lanes_) {
    if (lane->state_ == GrpcLane::State::kWaiting) Submit(*lane);
  }
}

void GrpcConnection::OnRead(size_t size) {
  read_at_ = feed_->clock.Now();
  const auto* const bytes = reinterpret_cast<const uint8_t*>(feed_->read_buffer.data());
  const ssize_t used = nghttp2_session_mem_recv(session_, bytes, size);
  if (used >= 0) return;
  closing_ = true;
  if (why_closed_.empty()) {
    why_closed_ = Concat("malformed answer: ", nghttp2_strerror(static_cast<int>(used)));
  }
}

std::span<const std::span<const std::byte>> GrpcConnection::Output() {
  while (!outbox_full()) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0 || !outbox_.Copy(std::as_bytes(std::span(bytes, static_cast<size_t>(size))))) {
      closing_ = true;
      break;
    }
    if (size == 0) break;
  }
  return outbox_.pieces();
}

bool GrpcConnection::outbox_full() const { return outbox_.size() >= kMaxOutbox; }

net::Protocol::Phase GrpcConnection::phase() const {
  if (closing_) return Phase::kDone;
  if (outbox_.size() > 0) return Phase::kOpen;
  const bool wants =
      nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0;
  // The server has said that it takes no more calls, or the numbers of streams are used up.
  const bool used_up = calls_ == 0 && nghttp2_session_check_request_allowed(session_) == 0;
  return wants && !used_up ? Phase::kOpen : Phase::kDone;
}

void GrpcConnection::OnAnswered(GrpcLane& lane, uint32_t error_code) {
  lane.state_ = GrpcLane::State::kIdle;
  std::string failure;
  const std::optional<int> status = lane.reader_.status();
  if (!status && error_code != NGHTTP2_NO_ERROR) {
    failure = why_closed_.empty()
                  ? Concat("the server reset the stream: ", nghttp2_http2_strerror(error_code))
                  : why_closed_;
  } else {
    failure = lane.reader_.Failure();
  }
  feed_->dispatcher.Ended(lane, {.end = read_at_, .status = status, .failure = failure});
  feed_->dispatcher.Ready(lane);
}

std::string GrpcConnection::WhyLost(const GrpcLane& lane) const {
  if (!why_closed_.empty()) return why_closed_;
  return Concat("the server closed the connection ",
                lane.reader_.begun() ? "within the answer" : "without an answer");
}

void GrpcConnection::OnConnectionGone() {
  connection_.reset();
  nghttp2_session_del(std::exchange(session_, nullptr));
  outbox_.Drop(outbox_.size());
  calls_ = 0;
  Dispatcher& dispatcher = feed_->dispatcher;
  if (dispatcher.finished()) return;
  if (!connect_failure_.empty()) {
    return dispatcher.Fail(
        Concat("cannot connect to ", feed_->target->endpoint.text(), ": ", connect_failure_));
  }
  closing_ = false;
  bool waiting = false;
  for (GrpcLane* const lane : lanes_) {
    waiting |= lane->state_ == GrpcLane::State::kWaiting;
    if (lane->state_ != GrpcLane::State::kCalling) continue;
    lane->state_ = GrpcLane::State::kIdle;
    const std::string failure = WhyLost(*lane);
    dispatcher.Ended(*lane, {.end = feed_->clock.Now(), .failure = failure});
    // Not from within this call: it may have come from within Begin().
    feed_->loop.Post([self = shared_from_this(), lane] { self->feed_->dispatcher.Ready(*lane); });
  }
  if (!waiting || std::exchange(connecting_, true)) return;
  feed_->loop.Post([self = shared_from_this()] { self->Connect(); });
}

GrpcLane::GrpcLane(std::shared_ptr<GrpcConnection> connection)
    : connection_(std::move(connection)),
      reader_(connection_->feed().target->stream, KeeperOf(*connection_->feed().target)) {
  connection_->Add(*this);
}

void GrpcLane::Begin() {
  reader_.Reset();
  connection_->Begin(*this);
}

}  // namespace despina::load
