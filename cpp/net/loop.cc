#include "net/loop.h"

// GCC's ThreadSanitizer does not know fences. Asio's are in addition to its mutexes.
#ifdef __SANITIZE_THREAD__
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#endif

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace despina::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
// With the executor's own type: the default is one that hides which it is, at a cost.
using Executor = asio::io_context::executor_type;
using StreamDescriptor = asio::posix::basic_stream_descriptor<Executor>;
using SteadyTimer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, Executor>;

}  // namespace

struct Loop::Impl {
  // One thread runs the context, so that Asio need not wake a second one.
  asio::io_context context{1};
  asio::executor_work_guard<Executor> work{context.get_executor()};
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

void Loop::Run() { impl_->context.run(); }

void Loop::Finish() {
  Post([this] { impl_->work.reset(); });
}

void Loop::Post(std::function<void()> task) { asio::post(impl_->context, std::move(task)); }

struct Watch::Impl {
  StreamDescriptor descriptor;
};

Watch::Watch(Loop& loop, Descriptor descriptor)
    : impl_(std::make_unique<Impl>(Impl{StreamDescriptor(loop.impl_->context)})) {
  error_code error;
  impl_->descriptor.assign(descriptor.get(), error);
  if (!error) descriptor_ = descriptor.Release();
}

Watch::~Watch() { Close(); }

void Watch::WaitReadable(std::shared_ptr<Watcher> watcher) {
  if (std::exchange(waits_to_read_, true)) return;
  impl_->descriptor.async_wait(StreamDescriptor::wait_read,
                               [this, watcher = std::move(watcher)](error_code error) {
                                 waits_to_read_ = false;
                                 // It may have been closed after it had become ready.
                                 if (!error && open()) watcher->OnReadable();
                               });
}

void Watch::WaitWritable(std::shared_ptr<Watcher> watcher) {
  if (std::exchange(waits_to_write_, true)) return;
  impl_->descriptor.async_wait(StreamDescriptor::wait_write,
                               [this, watcher = std::move(watcher)](error_code error) {
                                 waits_to_write_ = false;
                                 if (!error && open()) watcher->OnWritable();
                               });
}

void Watch::Close() {
  error_code ignored;
  impl_->descriptor.close(ignored);
  descriptor_ = -1;
}

struct Timer::Impl {
  SteadyTimer timer;
  std::function<void()> expired;
  // Tells a wait that had come to its end, but was not handled yet, that it is not wanted.
  unsigned starts = 0;
};

Timer::Timer(Loop& loop, std::function<void()> expired)
    : impl_(std::make_shared<Impl>(Impl{SteadyTimer(loop.impl_->context), std::move(expired)})) {}

Timer::~Timer() { Stop(); }

void Timer::Start(Duration delay) {
  impl_->timer.expires_after(delay);
  impl_->timer.async_wait([impl = impl_, start = ++impl_->starts](error_code error) {
    if (!error && impl->starts == start) impl->expired();
  });
}

void Timer::Stop() {
  ++impl_->starts;
  impl_->timer.cancel();
}

void EndOfTurn::Schedule() {
  if (std::exchange(scheduled_, true)) return;
  asio::post(loop_.impl_->context, [this] {
    scheduled_ = false;
    handler_();
  });
}

}  // namespace despina::net
