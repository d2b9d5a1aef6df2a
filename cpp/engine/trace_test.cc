#include "engine/trace.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/testing.h"
#include "engine/testing/ensembles.h"

namespace despina {
namespace {

using std::chrono::milliseconds;
using testing::Definition;
using testing::Executing;
using testing::Floats;

constexpr TraceSettings kEverything{.levels = {.timestamps = true, .tensors = true}, .rate = 1};

class TraceTest : public ::testing::Test {
 protected:
  TraceTest() { Configure(kEverything); }

  void Configure(const TraceSettings& global,
                 const std::map<std::string, TraceSettings>& models = {}) {
    server_.engine.tracer().Configure(global, models);
  }
  std::unique_ptr<Request> Make(const std::string& model, const std::string& id = "r") {
    auto request = server_.Make(model, Floats({1, 1}, {1}));
    request->id = id;
    request->trace = server_.engine.tracer().Sample(model, "", "");
    return request;
  }
  // Of a request that was answered and is dropped.
  std::unique_ptr<Trace> Traced(const std::string& model) {
    server_.Add(Make(model));
    server_.submitter.Flush();
    server_.answers.Next().reset();
    return Only();
  }
  // The one that is finished.
  std::unique_ptr<Trace> Only() {
    std::vector<std::unique_ptr<Trace>> traces = server_.engine.tracer().sink().Take();
    EXPECT_EQ(traces.size(), 1u);
    return traces.empty() ? nullptr : std::move(traces[0]);
  }

  ManualClock clock_;
  testing::Server server_{clock_};
};

// Names and milliseconds: "REQUEST_START 0 QUEUE_START 0"
std::string Text(const Trace& trace) {
  std::string text;
  for (const auto& [activity, when] : trace.stamps) {
    const auto since = std::chrono::duration_cast<milliseconds>(when.time_since_epoch());
    text += std::string(text.empty() ? "" : " ") + std::string(TraceActivityName(activity)) + " " +
            std::to_string(since.count());
  }
  return text;
}

TEST_F(TraceTest, APlainRequestGoesThroughQueueAndExecution) {
  clock_.Advance(milliseconds(1));
  ASSERT_TRUE(server_
                  .Serve(Definition("m", 4), Executing([this](Batch& batch) {
                           clock_.Advance(milliseconds(2));
                           batch.MarkUnanswered(ComputeMark::kStarts);
                           clock_.Advance(milliseconds(4));
                           batch.MarkUnanswered(ComputeMark::kEnds);
                           clock_.Advance(milliseconds(8));
                           testing::Identity(batch);
                         }))
                  .ok());
  const auto trace = Traced("m");
  EXPECT_EQ(Text(*trace),
            "REQUEST_START 1 QUEUE_START 1 COMPUTE_START 1 COMPUTE_INPUT_END 3 "
            "COMPUTE_OUTPUT_START 7 COMPUTE_END 15 INFER_RESPONSE_COMPLETE 15 REQUEST_END 15");
  EXPECT_EQ(trace->model, "m");
  EXPECT_EQ(trace->version, 1);
  EXPECT_EQ(trace->request_id, "r");
  EXPECT_EQ(trace->instance, "m_0");
  EXPECT_EQ(trace->batch_rows, 1u);
  EXPECT_EQ(trace->batch_requests, 1u);
  EXPECT_TRUE(trace->status.ok());
  ASSERT_EQ(trace->tensors.size(), 2u);
  EXPECT_EQ(trace->tensors[0].activity, TraceActivity::kTensorQueueInput);
  EXPECT_EQ(trace->tensors[0].name, "IN");
  EXPECT_EQ(trace->tensors[1].activity, TraceActivity::kTensorBackendOutput);
  EXPECT_EQ(testing::FloatsOf(trace->tensors[1].tensor), (std::vector<float>{1}));
}

TEST_F(TraceTest, RequestsOfABatchKnowHowLargeItWas) {
  testing::Puppet puppet;
  ModelDefinition definition = Definition("m", 4);
  definition.batching.dynamic = true;
  ASSERT_TRUE(server_.Serve(std::move(definition), puppet.Factory()).ok());
  server_.Add(Make("m"));
  server_.submitter.Flush();
  puppet.Begun(1);
  for (int i = 0; i < 3; ++i) server_.Add(Make("m"));
  clock_.Advance(milliseconds(5));
  server_.submitter.Flush();
  puppet.Allow(2);
  for (int i = 0; i < 4; ++i) server_.answers.Next().reset();
  const auto traces = server_.engine.tracer().sink().Take();
  ASSERT_EQ(traces.size(), 4u);
  EXPECT_EQ(traces[0]->batch_requests, 1u);
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(traces[i]->batch_requests, 3u);
    EXPECT_EQ(traces[i]->batch_rows, 3u);
    EXPECT_TRUE(Text(*traces[i]).starts_with("REQUEST_START 0 QUEUE_START 0 COMPUTE_START 5"));
  }
}

TEST_F(TraceTest, StepsOfAnEnsembleAreBelowIt) {
  const auto slow = [this](Batch& batch) {
    clock_.Advance(milliseconds(1));
    testing::Identity(batch);
  };
  ASSERT_TRUE(server_.Serve(Definition("a", 4), Executing(slow)).ok());
  ASSERT_TRUE(server_.Serve(Definition("b", 4), Executing(slow)).ok());
  ASSERT_TRUE(
      server_
          .Serve(testing::Ensemble("e", {testing::Step("a", {{"IN", "IN"}}, {{"OUT", "x"}}),
                                         testing::Step("b", {{"IN", "x"}}, {{"OUT", "OUT"}})}),
                 nullptr)
          .ok());
  const auto trace = Traced("e");
  EXPECT_EQ(Text(*trace), "REQUEST_START 0 QUEUE_START 0 INFER_RESPONSE_COMPLETE 2 REQUEST_END 2");
  EXPECT_EQ(trace->parent_id, 0u);
  ASSERT_EQ(trace->steps.size(), 2u);
  for (const auto& step : trace->steps) {
    EXPECT_EQ(step->parent_id, trace->id);
    EXPECT_EQ(step->request_id, "r");
    EXPECT_EQ(step->context.trace, trace->context.trace);
    EXPECT_EQ(step->context.parent, trace->context.model);
  }
  EXPECT_EQ(trace->steps[0]->model, "a");
  EXPECT_EQ(Text(*trace->steps[1]),
            "REQUEST_START 1 QUEUE_START 1 COMPUTE_START 1 COMPUTE_INPUT_END 1 "
            "COMPUTE_OUTPUT_START 2 COMPUTE_END 2 REQUEST_END 2");
}

TEST_F(TraceTest, AFailureIsTold) {
  ASSERT_TRUE(server_
                  .Serve(Definition("m", 4), Executing([](Batch& batch) {
                           batch.CompleteUnanswered(Internal("broken"));
                         }))
                  .ok());
  const auto trace = Traced("m");
  EXPECT_EQ(trace->status.message(), "broken");
  EXPECT_NE(Text(*trace).find("COMPUTE_END 0 INFER_RESPONSE_COMPLETE 0 REQUEST_END 0"),
            std::string::npos);
  EXPECT_EQ(trace->tensors.size(), 1u);
}

TEST_F(TraceTest, ARequestThatIsCancelledInTheQueueRunsNothing) {
  testing::Puppet puppet;
  ASSERT_TRUE(server_.Serve(Definition("m", 4), puppet.Factory()).ok());
  server_.Send("m", Floats({1, 1}, {1}));
  puppet.Begun(1);
  Request* const waiting = server_.Add(Make("m"));
  server_.submitter.Flush();
  clock_.Advance(milliseconds(3));
  waiting->Cancel();
  server_.answers.Next().reset();
  const auto trace = Only();
  EXPECT_EQ(Text(*trace), "REQUEST_START 0 QUEUE_START 0 INFER_RESPONSE_COMPLETE 3 REQUEST_END 3");
  EXPECT_EQ(trace->status.code(), Code::kCancelled);
  puppet.Allow(1);
  server_.answers.Next();
}

TEST_F(TraceTest, ARequestThatFindsNoRoomRunsNothing) {
  testing::Puppet puppet;
  ModelDefinition definition = Definition("m", 4);
  definition.batching.max_queue_size = 1;
  ASSERT_TRUE(server_.Serve(std::move(definition), puppet.Factory()).ok());
  for (int i = 0; i < 2; ++i) {
    server_.Send("m", Floats({1, 1}, {1}));
    puppet.Begun(1);
  }
  server_.Add(Make("m"));
  server_.submitter.Flush();
  server_.answers.Next().reset();
  EXPECT_EQ(Text(*Only()), "REQUEST_START 0 QUEUE_START 0 INFER_RESPONSE_COMPLETE 0 REQUEST_END 0");
  puppet.Allow(2);
  for (int i = 0; i < 2; ++i) server_.answers.Next();
}

TEST_F(TraceTest, EachPartOfAnAnswerIsTold) {
  ModelDefinition definition = Definition("m", 4);
  definition.decoupled = true;
  ASSERT_TRUE(server_
                  .Serve(std::move(definition), Executing([this](Batch& batch) {
                           for (int i = 0; i < 2; ++i) {
                             clock_.Advance(milliseconds(1));
                             ASSERT_TRUE(batch.AddOutput(0, 0, Floats({1, 1}, {1})).ok());
                             ASSERT_TRUE(batch.Send(0).ok());
                           }
                           batch.Complete(0, Ok());
                         }))
                  .ok());
  EXPECT_TRUE(
      Text(*Traced("m"))
          .starts_with(
              "REQUEST_START 0 QUEUE_START 0 INFER_RESPONSE_COMPLETE 1 INFER_RESPONSE_COMPLETE 2"));
}

TEST_F(TraceTest, ARequestThatIsNotTakenIsAsFarAsItCame) {
  ASSERT_TRUE(server_.Serve(Definition("m", 4), Executing(testing::Identity)).ok());
  auto request = Make("m");
  request->inputs[0].reset();
  request->trace->Stamp(TraceActivity::kHttpRecvStart, clock_.Now());
  EXPECT_FALSE(server_.submitter.Submit(request).ok());
  request.reset();
  const auto trace = Only();
  EXPECT_EQ(trace->model, "");
  EXPECT_EQ(Text(*trace), "HTTP_RECV_START 0");
}

class SamplingTest : public ::testing::Test {
 protected:
  // Of so many requests, which are sampled.
  std::string Sampled(const std::string& model, int requests, std::string_view traceparent = "") {
    std::string chosen;
    for (int i = 0; i < requests; ++i)
      chosen += tracer_.Sample(model, traceparent, "k=v") ? 'x' : '-';
    return chosen;
  }

  Tracer tracer_;
};

TraceSettings Every(uint32_t rate, int64_t count = -1) {
  return {.levels = {.timestamps = true}, .rate = rate, .count = count};
}

TEST_F(SamplingTest, NothingIsTracedUntilItIsConfigured) {
  EXPECT_FALSE(tracer_.on());
  EXPECT_EQ(Sampled("m", 3), "---");
  tracer_.Configure({}, {});
  EXPECT_FALSE(tracer_.on());
}

TEST_F(SamplingTest, TakesEverySoManyUntilTheCountIsUsedUp) {
  tracer_.Configure(Every(3, 2), {});
  EXPECT_TRUE(tracer_.on());
  EXPECT_EQ(Sampled("m", 4), "--x-");
  EXPECT_EQ(tracer_.Remaining("m"), 1);
  EXPECT_EQ(Sampled("n", 8), "-x------");
  EXPECT_EQ(tracer_.Remaining(""), 0);
}

TEST_F(SamplingTest, AModelMayHaveSettingsOfItsOwn) {
  TraceSettings off = Every(1);
  off.levels = {};
  tracer_.Configure(Every(2), {{"all", Every(1, 1)}, {"none", off}});
  EXPECT_EQ(Sampled("other", 2), "-x");
  EXPECT_EQ(Sampled("all", 3), "x--");
  EXPECT_EQ(Sampled("none", 3), "---");
}

TEST_F(SamplingTest, AClientsContextDecidesWhereItIsFollowed) {
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-";
  tracer_.Configure(Every(2), {});
  EXPECT_EQ(Sampled("m", 4, parent + "01"), "-x-x");
  TraceSettings following = Every(2);
  following.follow_context = true;
  tracer_.Configure(following, {});
  EXPECT_EQ(Sampled("m", 2, parent + "01"), "xx");
  EXPECT_EQ(Sampled("m", 2, parent + "00"), "--");
  EXPECT_EQ(Sampled("m", 2, "nonsense"), "-x");
  const auto trace = tracer_.Sample("m", parent + "01", "k=v");
  EXPECT_EQ(TraceParentText({trace->context.trace, trace->context.parent, true}), parent + "01");
  EXPECT_EQ(trace->context.state, "k=v");
  EXPECT_TRUE(trace->context.Outgoing().starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
  EXPECT_NE(trace->context.Outgoing(), parent + "01");
  EXPECT_EQ(tracer_.Sample("m", parent + "01", std::string(600, 'x'))->context.state, "");
}

TEST_F(SamplingTest, WhatIsNotTakenIsBounded) {
  tracer_.Configure(Every(1), {});
  for (size_t i = 0; i < TraceSink::kMaxTraces + 3; ++i) tracer_.Sample("m", "", "");
  EXPECT_EQ(tracer_.sink().dropped(), 3u);
  EXPECT_EQ(tracer_.sink().Take().size(), TraceSink::kMaxTraces);
  TraceSettings tensors = Every(1);
  tensors.levels.tensors = true;
  tracer_.Configure(tensors, {});
  const Tensor large{DataType::kUint8, {40 << 20}, Slice(*testing::Memory().Allocate(40 << 20))};
  for (int i = 0; i < 2; ++i) {
    tracer_.Sample("m", "", "")->AddTensor(TraceActivity::kTensorQueueInput, "x", large);
  }
  EXPECT_EQ(tracer_.sink().dropped(), 4u);
  EXPECT_EQ(tracer_.sink().Take().size(), 1u);
  tracer_.Sample("m", "", "")->AddTensor(TraceActivity::kTensorQueueInput, "x", large);
  EXPECT_EQ(tracer_.sink().Take().size(), 1u);
}

TEST(TraceContextTest, ReadsWhatTheRecommendationAllows) {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto parent = ParseTraceParent(good);
  ASSERT_TRUE(parent);
  EXPECT_TRUE(parent->sampled);
  EXPECT_EQ(TraceParentText(*parent), good);
  // Other flags are left alone; later versions may say more.
  EXPECT_FALSE(ParseTraceParent(good.substr(0, 53) + "02")->sampled);
  EXPECT_TRUE(ParseTraceParent("cc" + good.substr(2) + "-what"));
  EXPECT_TRUE(ParseTraceParent("cc" + good.substr(2)));
}

TEST(TraceContextTest, RefusesEverythingElse) {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = 'G';
    EXPECT_FALSE(ParseTraceParent(bad)) << bad;
    EXPECT_FALSE(ParseTraceParent(good.substr(0, i))) << i;
  }
  EXPECT_FALSE(ParseTraceParent(good + "-what"));
  EXPECT_FALSE(ParseTraceParent("cc" + good.substr(2) + "what"));
  EXPECT_FALSE(ParseTraceParent("ff" + good.substr(2)));
  EXPECT_FALSE(ParseTraceParent("00-00000000000000000000000000000000-b7ad6b7169203331-01"));
  EXPECT_FALSE(ParseTraceParent("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"));
  EXPECT_FALSE(ParseTraceParent("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"));
}

TEST(TraceContextTest, IdsDoNotComeTwice) {
  EXPECT_NE(NewTraceId(), NewTraceId());
  EXPECT_NE(NewSpanId(), NewSpanId());
  EXPECT_NE(NewSpanId(), SpanId{});
}

}  // namespace
}  // namespace despina
