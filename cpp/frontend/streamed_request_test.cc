#include "frontend/streamed_request.h"

#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <utility>

#include "base/published.h"
#include "engine/snapshot.h"

namespace despina::frontend {
namespace {

// Keeps what it is asked.
class IdleModel final : public Model {
 public:
  IdleModel() : Model(Decoupled(), Clock::System()) {}
  void Enqueue(RequestChain chain, Turn&) override { waiting = std::move(chain); }
  void Cancel(Request&) override {}
  void Stop() override {}

  RequestChain waiting;

 private:
  static ModelDefinition Decoupled() {
    ModelDefinition definition;
    definition.name = "idle";
    definition.version = 1;
    definition.decoupled = true;
    return definition;
  }
};

class NotedRequest final : public StreamedRequest {
 public:
  using StreamedRequest::StreamedRequest;
  size_t parts = 0;
  bool ended = false;
  bool undelivered = false;
  std::function<void()> during_delivery = [] {};

 private:
  void OnDelivery(std::vector<Response> came, std::unique_ptr<Request> completed) override {
    std::exchange(during_delivery, [] {})();
    EXPECT_FALSE(undelivered);
    parts += came.size();
    ended = completed != nullptr;
  }
  void OnUndelivered() override { undelivered = true; }
};

TEST(StreamedRequestTest, AnEndThatComesDuringTheLastDeliveryOfALoopIsDeliveredOnIt) {
  const auto loop = std::make_shared<net::Loop>();
  const auto mailbox = std::make_shared<net::Mailbox>(loop);
  const auto model = std::make_shared<IdleModel>();
  const auto request = std::make_shared<NotedRequest>(mailbox);
  auto serving = std::make_shared<Snapshot>();
  serving->models["idle"].versions[1] = model;
  const Published<Snapshot> snapshot(serving);
  Submitter submitter(snapshot);
  Result<ModelRef> entered = submitter.Find("idle", 1);
  ASSERT_TRUE(entered.ok()) << entered.status().message();
  auto submitted = std::make_unique<Request>(*std::move(entered));
  ASSERT_TRUE(request->Submit(std::move(submitted), submitter).ok());
  submitter.Flush();
  std::unique_ptr<Request> worked_on = model->waiting.TakeFirst();
  Completion& completion = *worked_on->completion;
  completion.OnPart(*worked_on, Response());
  request->during_delivery = [&] {
    // The mailbox is closed now, and the engine's thread finds it so.
    std::thread([&] {
      Turn turn;
      completion.OnComplete(std::move(worked_on), turn);
    }).join();
  };
  mailbox->Close();
  EXPECT_EQ(request->parts, 1U);
  EXPECT_TRUE(request->ended);
  EXPECT_FALSE(request->undelivered);
  EXPECT_EQ(request.use_count(), 1);
}

}  // namespace
}  // namespace despina::frontend
