#include "grpc/session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/block_cache.h"
#include "base/recycled_memory.h"
#include "base/text.h"

namespace despina::grpc {
namespace {

// Of the loop; a turn's reads of one connection take eight of these at most.
constexpr size_t kReadBuffer = size_t{128} << 10;
// What a client may send before it is told that more was taken.
constexpr int32_t kStreamWindow = 4 << 20;
constexpr int32_t kConnectionWindow = 16 << 20;
// nghttp2 tells the client when half of a window was taken, and is told so much at a time.
constexpr size_t kTakenAtOnce = size_t{512} << 10;
// What is moved into the outbox before the socket takes it.
constexpr size_t kMaxOutbox = size_t{512} << 10;
// How long the client may go on sending after the end, so that it can read why.
constexpr Duration kDrain = std::chrono::seconds(2);
// How long it may take to answer the ping behind a first GOAWAY. gRPC's.
constexpr Duration kLastPing = std::chrono::seconds(20);
// Frames that are no use to anybody but a flood.
constexpr unsigned kMaxControlFrames = 2000;
// Frames that wait for a client that asks and does not read: what is beyond ends the connection.
constexpr size_t kMaxQueuedFrames = 2000;
// gRPC's, for pings when there is no call.
constexpr Duration kIdlePingInterval = std::chrono::hours(2);

constexpr std::string_view kNotHttp2 =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 46\r\n"
    "Connection: close\r\n\r\nthis port speaks gRPC, which needs HTTP/2 here";

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// A client that speaks HTTP/2 wrongly begins otherwise.
bool IsHttp1(std::string_view bytes) {
  return bytes[0] >= 'A' && bytes[0] <= 'Z' && !bytes.starts_with("PRI ");
}

}  // namespace

SessionLoop::SessionLoop(net::Loop& loop, Router& router)
    : loop_(loop), router_(router), compression_(loop), read_buffer_(kReadBuffer) {}

void SessionLoop::FlushAll() {
  std::vector<std::shared_ptr<Session>> sessions;
  sessions.swap(to_flush_);
  for (const auto& session : sessions) {
    session->flush_scheduled_ = false;
    session->may_fill_ = true;
    if (session->transport_ != nullptr) session->transport_->Resume();
  }
}

Session::Session(std::shared_ptr<SessionEnvironment> environment, SessionLoop& loop,
                 net::EndOfTurn& end_of_turn)
    : environment_(std::move(environment)),
      loop_(loop),
      end_of_turn_(end_of_turn),
      memory_(environment_->limits.session_bytes +
              environment_->limits.stream_bytes * environment_->limits.max_concurrent_streams),
      outbox_(environment_->allocator) {}

Session::~Session() { nghttp2_session_del(session_); }

void Session::OnOpened(net::Transport& transport) {
  transport_ = &transport;
  opened_at_ = last_read_ = environment_->clock.Now();
  age_deadline_ = Later(opened_at_, environment_->limits.max_age);
  next_look_ = Later(opened_at_, environment_->limits.message_timeout);
  session_ = NewSession();
  if (session_ == nullptr) {
    done_ = true;
    return;
  }
  const SessionLimits& limits = environment_->limits;
  const std::array<nghttp2_settings_entry, 3> settings = {{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.max_concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits.max_header_bytes)},
  }};
  Check(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()));
  Check(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow));
  if (!refusal_.empty()) Terminate(NGHTTP2_ENHANCE_YOUR_CALM, refusal_);
}

void Session::OnClosed() {
  transport_ = nullptr;
  done_ = true;
  for (const auto& call : std::exchange(calls_, {})) call->OnClosed();
  current_ = nullptr;
}

Call& Session::AddCall(int32_t stream) {
  // One that is larger, with its counts of references, would not be recycled.
  static_assert(sizeof(Call) + 4 * sizeof(void*) <= BlockCache::kLargest);
  calls_.push_back(std::allocate_shared<Call>(RecyclingAllocator<Call>(), *this, environment_,
                                              stream, calls_.size(), last_read_));
  return *calls_.back();
}

std::shared_ptr<Call> Session::RemoveCall(const Call& call) {
  if (current_ == &call) current_ = nullptr;
  std::swap(calls_[call.place_], calls_.back());
  calls_[call.place_]->place_ = call.place_;
  std::shared_ptr<Call> removed = std::move(calls_.back());
  calls_.pop_back();
  return removed;
}

std::span<std::byte> Session::ReadSpace() { return loop_.read_buffer(); }

void Session::OnRead(size_t size) {
  last_read_ = environment_->clock.Now();
  send_stall_.OnProgress(size);
  ping_deadline_ = TimePoint::max();
  if (deaf_ || done_) return;
  const auto* const bytes = reinterpret_cast<const uint8_t*>(loop_.read_buffer().data());
  const ssize_t used = nghttp2_session_mem_recv(session_, bytes, size);
  if (used == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
    deaf_ = true;
    if (IsHttp1({reinterpret_cast<const char*>(bytes), size})) outbox_.Copy(BytesOf(kNotHttp2));
    Terminate(NGHTTP2_PROTOCOL_ERROR, "this is no connection preface of HTTP/2");
  } else if (used < 0) {
    Terminate(NGHTTP2_INTERNAL_ERROR, nghttp2_strerror(static_cast<int>(used)));
  }
  // A stream has a head, a window and an end; frames of streams that are gone wait as well.
  const size_t most = kMaxQueuedFrames + size_t{3} * environment_->limits.max_concurrent_streams;
  if (nghttp2_session_get_outbound_queue_size(session_) > most) done_ = true;
  Flush();
}

std::span<const std::span<const std::byte>> Session::Output() {
  if (may_fill_) Fill();
  if (outbox_.size() == 0 && finished() && drain_deadline_ == TimePoint::max()) {
    drain_deadline_ = Later(environment_->clock.Now(), kDrain);
  }
  return outbox_.pieces();
}

void Session::OnWritten(size_t size) {
  outbox_.Drop(size);
  read_stall_.OnProgress(size);
}

void Session::Fill() {
  blocked_ = false;
  while (!outbox_full()) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0 || !outbox_.Copy(std::as_bytes(std::span(bytes, static_cast<size_t>(size))))) {
      done_ = true;
      return;
    }
    if (size > 0) continue;
    may_fill_ = blocked_;
    return;
  }
}

bool Session::outbox_full() const { return outbox_.size() >= kMaxOutbox; }

bool Session::finished() const {
  if (done_ || deaf_) return true;
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

net::Protocol::Phase Session::phase() const {
  if (done_) return Phase::kDone;
  if (outbox_.size() > 0 || may_fill_ || flush_scheduled_) return Phase::kOpen;
  return finished() ? Phase::kDraining : Phase::kOpen;
}

void Session::Flush() {
  if (transport_ == nullptr || std::exchange(flush_scheduled_, true)) return;
  loop_.FlushLater(shared_from_this());
  end_of_turn_.Schedule();
}

TimePoint Session::deadline() const {
  const SessionLimits& limits = environment_->limits;
  TimePoint next =
      std::min({drain_deadline_, ping_deadline_, age_deadline_, last_go_away_, next_look_});
  if (!preface_seen_) next = std::min(next, Later(opened_at_, limits.opening_timeout));
  if (ping_deadline_ == TimePoint::max() &&
      (!calls_.empty() || limits.keepalive.permit_without_calls)) {
    next = std::min(next, Later(last_read_, limits.keepalive.time));
  }
  return next;
}

void Session::OnDeadline() {
  const TimePoint now = environment_->clock.Now();
  const SessionLimits& limits = environment_->limits;
  const bool late_preface = !preface_seen_ && now >= Later(opened_at_, limits.opening_timeout);
  if (late_preface || now >= drain_deadline_ || now >= ping_deadline_) {
    done_ = true;
    return;
  }
  if (now >= next_look_) {
    // A server that was stopped itself has not read what came meanwhile.
    const bool judge = now < Later(next_look_, limits.message_timeout / 2);
    next_look_ = Later(now, limits.message_timeout);
    LookForStalls(judge);
    if (done_ || now < deadline()) return;
  }
  if (now >= last_go_away_) return OnPingAnswered();
  if (now >= age_deadline_) {
    if (going_away_) {
      done_ = true;
      return;
    }
    age_deadline_ = Later(now, limits.max_age_grace);
    return BeginGoAway();
  }
  const KeepaliveOptions& keepalive = limits.keepalive;
  if (keepalive.max_pings_without_data > 0 &&
      pings_without_data_ >= keepalive.max_pings_without_data) {
    // It is not asked again before a call has something to tell.
    last_read_ = now;
    return;
  }
  ++pings_without_data_;
  ping_deadline_ = Later(now, keepalive.timeout);
  Check(nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr));
  Flush();
}

void Session::LookForStalls(bool judge) {
  if (!judge) {
    head_stall_.Skip(head_open_ != 0);
  } else if (head_stall_.Look(head_open_ != 0)) {
    return Terminate(NGHTTP2_ENHANCE_YOUR_CALM, "a head was begun and does not go on");
  }
  if (read_stall_.Look(outbox_.size() > 0)) {
    done_ = true;
    return;
  }
  // Of one that sends what it can, some calls may have to wait for others.
  const bool silent = send_stall_.Look(true);
  for (const auto& call : calls_) call->LookForStall(judge && silent);
}

void Session::EndHead() {
  if (std::exchange(head_open_, 0) != 0) head_stall_.OnComplete();
}

void Session::Check(int error) {
  if (error != 0 && nghttp2_is_fatal(error) != 0) done_ = true;
}

void Session::OnStopping() {
  if (done_) return;
  if (!preface_seen_) {
    done_ = true;
    return;
  }
  // The server has its own deadline for calls that still run.
  if (!going_away_) age_deadline_ = TimePoint::max();
  stopping_ = true;
  BeginGoAway();
  // Those that end now stay in the table until that is sent.
  for (const auto& call : calls_) call->OnStopping();
}

void Session::BeginGoAway() {
  if (std::exchange(going_away_, true)) return;
  // Streams that are on their way already are still taken, until the client has answered.
  Check(nghttp2_submit_shutdown_notice(session_));
  last_go_away_ = Later(environment_->clock.Now(), kLastPing);
  Check(nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr));
  Flush();
}

void Session::GoAway(uint32_t error_code, std::string_view why) {
  Check(nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(session_), error_code,
                              reinterpret_cast<const uint8_t*>(why.data()), why.size()));
  Flush();
}

void Session::Terminate(uint32_t error_code, std::string_view why) {
  GoAway(error_code, why);
  deaf_ = true;
  // Also if it reads nothing.
  drain_deadline_ = std::min(drain_deadline_, Later(environment_->clock.Now(), kDrain));
}

void Session::CountControlFrame() {
  if (++control_frames_ > kMaxControlFrames) {
    Terminate(NGHTTP2_ENHANCE_YOUR_CALM, "too many frames that carry nothing");
  }
}

void Session::OnPing() {
  const KeepaliveOptions& keepalive = environment_->limits.keepalive;
  const TimePoint now = environment_->clock.Now();
  const bool idle = calls_.empty() && !keepalive.permit_without_calls;
  const Duration interval = idle ? kIdlePingInterval : keepalive.min_ping_interval;
  const bool early = last_ping_ != TimePoint::min() && now < Later(last_ping_, interval);
  last_ping_ = now;
  // Clients measure the way with pings while they are sent something.
  if (!early) control_frames_ = 0;
  if (!early || keepalive.max_ping_strikes == 0) return;
  // Clients know this text.
  if (++ping_strikes_ > keepalive.max_ping_strikes) {
    Terminate(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
  }
}

void Session::OnPingAnswered() {
  if (std::exchange(last_go_away_, TimePoint::max()) == TimePoint::max()) return;
  GoAway(NGHTTP2_NO_ERROR, "");
}

void Session::OnSomethingSent() {
  last_ping_ = TimePoint::min();
  ping_strikes_ = 0;
  pings_without_data_ = 0;
}

void Session::Consume(Call& call, size_t bytes) {
  call.taken_ += bytes;
  if (call.taken_ < kTakenAtOnce) return;
  Check(nghttp2_session_consume_stream(session_, call.stream_, std::exchange(call.taken_, 0)));
}

void Session::ConsumeConnection(size_t bytes) {
  taken_ += bytes;
  if (taken_ < kTakenAtOnce) return;
  Check(nghttp2_session_consume_connection(session_, std::exchange(taken_, 0)));
}

void Session::Abort(Call& call) {
  Check(nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, call.stream_, NGHTTP2_CANCEL));
  Flush();
}

}  // namespace despina::grpc
