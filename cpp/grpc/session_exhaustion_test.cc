#include <gtest/gtest.h>

#include "grpc/testing/session_fixture.h"

namespace despina::grpc {
namespace {

using namespace std::chrono_literals;
using net::Protocol;
using testing::Framed;

class SessionExhaustionTest : public testing::SessionTest {
 protected:
  // A session of which nghttp2 may hold so much is asked several things, and answers them at once:
  // it holds more with each step. True when all was answered.
  bool ServesWith(size_t session_bytes) {
    answered_.clear();
    calls_.clear();
    finished_ = 0;
    SessionLimits limits;
    limits.session_bytes = session_bytes;
    limits.stream_bytes = 0;
    Open(limits);
    std::vector<int32_t> ids;
    for (int i = 0; i < 4; ++i) {
      ids.push_back(Start(kUnary, Framed("question"), true, {{"x-key", "value"}}));
      if (!Goes() || !unary().call) return false;
      calls_.push_back(std::move(unary().call));
    }
    ids.push_back(Start(kStream, Framed("one") + Framed("two"), false));
    if (!Goes() || !stream().call) return false;
    calls_.push_back(std::move(stream().call));
    for (const auto& call : calls_) call->Send(Text("answer"));
    for (const auto& call : calls_) {
      finished_ += call->over() ? 0 : 1;
      call->Finish(Internal("no 100%"));
    }
    session_->OnStopping();
    EXPECT_FALSE(Goes());
    return std::ranges::all_of(ids, [&](int32_t id) { return answered_[id].status() == "13"; });
  }
  // As a connection does it: what is done is closed.
  bool Goes() {
    Exchange();
    clock_.Advance(session_->phase() == Protocol::Phase::kDraining ? 3s : 0s);
    if (clock_.Now() >= session_->deadline()) session_->OnDeadline();
    if (session_->phase() != Protocol::Phase::kDone) return true;
    session_->OnClosed();
    return false;
  }

  std::vector<std::shared_ptr<Call>> calls_;
  int finished_ = 0;
};

TEST_F(SessionExhaustionTest, ASessionThatWouldHoldTooMuchIsEndedWhereverItIs) {
  size_t bytes = 0;
  int with_calls = 0;
  for (; !ServesWith(bytes); bytes += 8) {
    ASSERT_EQ(session_->phase(), Protocol::Phase::kDone) << bytes;
    with_calls += calls_.empty() ? 0 : 1;
    for (const auto& call : calls_) EXPECT_TRUE(call->over()) << bytes;
    EXPECT_EQ(unary().gone + stream().gone + finished_,
              static_cast<int>(unary().messages.size() + stream().messages.size() / 2))
        << bytes;
    calls_.clear();
    records_.clear();
    ASSERT_EQ(environment_->bytes_in_flight.used(), 0U) << bytes;
    Close();
    ASSERT_LT(bytes, size_t{1} << 20);
  }
  EXPECT_GT(bytes, 1000U);
  EXPECT_GT(with_calls, 50);
  Close();
  calls_.clear();
  records_.clear();
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
}

TEST_F(SessionExhaustionTest, AsManyStreamsAsThereMayBeFitInWithTheLongestAnswersOfErrors) {
  SessionLimits limits;
  Open(limits);
  Exchange();
  std::vector<std::shared_ptr<Call>> calls;
  std::vector<int32_t> ids;
  for (uint32_t i = 0; i < limits.max_concurrent_streams; ++i) {
    ids.push_back(Start(kUnary, Framed("question")));
    Exchange();
    calls.push_back(unary().call);
  }
  for (const auto& call : calls) call->Finish(Internal(std::string(8192, '%')));
  Exchange();
  for (const int32_t id : ids) ASSERT_EQ(answered_[id].status(), "13");
}

}  // namespace
}  // namespace despina::grpc
