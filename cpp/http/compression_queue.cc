#include "http/compression_queue.h"

#include <utility>

namespace despina::http {
namespace {

// About a millisecond's work.
constexpr size_t kPart = size_t{64} << 10;

}  // namespace

void CompressionQueue::Respond(Session& session, Answer answer, Coding coding) {
  if (const size_t size = answer.body_size(); size > kPart) {
    // Compressed, it is not larger.
    const Status charged = session.Charge(size);
    if (!charged.ok()) return session.Respond(ErrorAnswer(503, charged.message()));
  }
  auto job =
      std::make_unique<Job>(session.shared_from_this(), std::move(answer), coding, allocator_);
  if (job->compressor.Continue(kPart)) return session.Respond(job->compressor.Take());
  jobs_.push_back(std::move(job));
  end_of_turn_.Schedule();
}

void CompressionQueue::Continue() {
  std::unique_ptr<Job> job = std::move(jobs_.front());
  jobs_.pop_front();
  if (job->session->phase() == net::Protocol::Phase::kDone) {
    // The client has gone. This gives back what the request was charged.
    job->session->Respond({});
  } else if (job->compressor.Continue(kPart)) {
    job->session->Respond(job->compressor.Take());
  } else {
    jobs_.push_back(std::move(job));
  }
  if (!jobs_.empty()) end_of_turn_.Schedule();
}

}  // namespace despina::http
