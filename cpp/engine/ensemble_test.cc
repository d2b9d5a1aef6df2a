#include "engine/ensemble.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/testing/ensembles.h"

namespace despina {
namespace {

using testing::AddUp;
using testing::Chain;
using testing::Definition;
using testing::Ensemble;
using testing::Executing;
using testing::Failing;
using testing::Floats;
using testing::Fp32;
using testing::Names;
using testing::Puppet;
using testing::Step;

class EnsembleTest : public testing::EnsembleFixture {};

TEST_F(EnsembleTest, RunsAChainAndHandsOnIdAndParameters) {
  Serve(Definition("a", 8), Executing(AddUp));
  std::string id;
  size_t parameters = 0;
  Serve(Definition("b", 8), Executing([&](Batch& batch) {
          id = batch.request(0).id;
          parameters = batch.request(0).parameters.size();
          AddUp(batch);
        }));
  Serve(Chain("e", "a", "b"));
  auto request = server_.Make("e", Floats({2, 1}, {10, 20}));
  request->id = "r1";
  request->parameters = {{"priority", int64_t{2}}};
  server_.Add(std::move(request));
  server_.submitter.Flush();
  const auto answer = server_.answers.Next();
  EXPECT_EQ(Out(*answer), (std::vector<float>{12, 22}));
  EXPECT_EQ(answer->response.outputs[0].tensor.shape, (Shape{2, 1}));
  EXPECT_EQ(id, "r1");
  EXPECT_EQ(parameters, 1u);
  const ModelCounts counts = server_.Counts("e");
  EXPECT_EQ(counts.success.count, 1u);
  EXPECT_EQ(counts.inference_count, 2u);
}

TEST_F(EnsembleTest, StepsThatCanRunTogetherDo) {
  Puppet left(AddUp);
  Puppet right(AddUp);
  Serve(Definition("left", 8), left.Factory());
  Serve(Definition("right", 8), right.Factory());
  ModelDefinition join = Definition("join", 8);
  join.inputs = {Fp32("L"), Fp32("R")};
  Serve(std::move(join), Executing(AddUp));
  Serve(Ensemble("e", {Step("join", {{"L", "l"}, {"R", "r"}}, {{"OUT", "OUT"}}),
                       Step("left", {{"IN", "IN"}}, {{"OUT", "l"}}),
                       Step("right", {{"IN", "IN"}}, {{"OUT", "r"}})}));
  server_.Send("e", Row(10));
  left.Begun(1);
  right.Begun(1);
  right.Allow(1);
  left.Allow(1);
  EXPECT_EQ(Out(*server_.answers.Next()), (std::vector<float>{23}));
}

TEST_F(EnsembleTest, ConcurrentRequestsBatchTogetherInAMember) {
  Puppet second(AddUp);
  ModelDefinition b = Definition("b", 8);
  b.batching.dynamic = true;
  Serve(Definition("a", 8), Executing(AddUp));
  Serve(std::move(b), second.Factory());
  Serve(Chain("e", "a", "b"));
  server_.Send("e", Row(0));
  second.Begun(1);
  for (int i = 1; i <= 4; ++i) server_.Send("e", Row(static_cast<float>(i)));
  WaitForQueue("b", 4);
  second.Allow(2);
  EXPECT_EQ(second.Begun(2), (std::vector<uint32_t>{1, 4}));
  for (int i = 0; i <= 4; ++i) EXPECT_EQ(Out(*server_.answers.Next()).at(0), i + 2);
}

TEST_F(EnsembleTest, StepsThatNobodyAskedForDoNotRun) {
  Serve(Definition("a", 8), Executing(AddUp));
  Serve(Definition("b", 8), Executing(AddUp));
  ModelDefinition ensemble = Ensemble("e", {Step("a", {{"IN", "IN"}}, {{"OUT", "OUT"}}),
                                            Step("b", {{"IN", "OUT"}}, {{"OUT", "MORE"}})});
  ensemble.outputs = {Fp32("OUT"), Fp32("MORE")};
  Serve(std::move(ensemble));
  auto request = server_.Make("e", Row(1));
  request->requested_outputs = {0};
  server_.Add(std::move(request));
  server_.submitter.Flush();
  EXPECT_EQ(server_.answers.Next()->response.outputs.size(), 1u);
  EXPECT_EQ(server_.Counts("b").execution_count, 0u);
  EXPECT_EQ(Infer("e", Row(1))->response.outputs.size(), 2u);
  EXPECT_EQ(server_.Counts("b").execution_count, 1u);
}

TEST_F(EnsembleTest, AnInputCanBeAnOutputWithoutAnyStep) {
  Serve(Definition("a", 8), Executing(AddUp));
  ModelDefinition ensemble = Ensemble("e", {Step("a", {{"IN", "IN"}}, {{"OUT", "OUT"}})});
  ensemble.outputs.push_back(Fp32("IN"));
  Serve(std::move(ensemble));
  auto request = server_.Make("e", Row(7));
  request->requested_outputs = {1};
  server_.Add(std::move(request));
  server_.submitter.Flush();
  EXPECT_EQ(Out(*server_.answers.Next()), (std::vector<float>{7}));
  EXPECT_EQ(server_.Counts("a").execution_count, 0u);
}

TEST_F(EnsembleTest, ABatchAxisIsAddedAndTakenAwayForOneRow) {
  Serve(Definition("plain", 0), Executing(AddUp));
  Serve(Definition("batched", 8), Executing(AddUp));
  Serve(Chain("e", "plain", "batched"));
  const auto answer = Infer("e", Floats({1, 2}, {1, 2}));
  EXPECT_EQ(Out(*answer), (std::vector<float>{3, 4}));
  EXPECT_EQ(answer->response.outputs[0].tensor.shape, (Shape{1, 2}));
  EXPECT_EQ(Infer("e", Floats({2, 1}, {1, 2}))->response.status.message(),
            "in ensemble 'e', step 0 (model 'plain'): tensor 'IN': shape [2,1] has more rows than "
            "the one that a model without a batch axis takes");
}

TEST_F(EnsembleTest, AnEnsembleWithoutABatchAxisUsesBatchedMembers) {
  Serve(Definition("batched", 8), Executing(AddUp));
  ModelDefinition ensemble = Chain("e", "batched", "batched");
  ensemble.max_batch_size = 0;
  Serve(std::move(ensemble));
  const auto answer = Infer("e", Floats({2}, {1, 2}));
  EXPECT_EQ(Out(*answer), (std::vector<float>{3, 4}));
  EXPECT_EQ(answer->response.outputs[0].tensor.shape, Shape{2});
}

// Crops of one picture: the first axis is part of the dims here and the batch axis there.
TEST_F(EnsembleTest, ATensorOfTheRightRankKeepsItsAxes) {
  Serve(Definition("batched", 8), Executing(AddUp));
  ModelDefinition ensemble = Chain("e", "batched", "batched");
  ensemble.max_batch_size = 0;
  ensemble.inputs[0].dims = Shape{-1, 2};
  ensemble.outputs[0].dims = Shape{-1, 2};
  Serve(std::move(ensemble));
  const auto answer = Infer("e", Floats({3, 2}, {1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(Out(*answer), (std::vector<float>{3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(answer->response.outputs[0].tensor.shape, (Shape{3, 2}));
  EXPECT_EQ(server_.Counts("batched").inference_count, 6u);
}

TEST_F(EnsembleTest, ShapesWithoutRoomForABatchAxisAreRefused) {
  Shape full;
  while (full.Append(1)) {
  }
  ModelDefinition member = Definition("m", 8);
  member.inputs[0].dims = full;
  Serve(std::move(member), Executing(AddUp));
  ModelDefinition ensemble = Ensemble("e", {Step("m", {{"IN", "IN"}}, {{"OUT", "OUT"}})});
  ensemble.max_batch_size = 0;
  ensemble.inputs[0].dims = full;
  Serve(std::move(ensemble));
  EXPECT_EQ(Infer("e", Floats(full, {1}))->response.status.message(),
            "in ensemble 'e', step 0 (model 'm'): tensor 'IN': no room for a batch axis in shape " +
                ToText(full));
}

TEST_F(EnsembleTest, WhatIsLeftOutIsAnOptionalInputThatIsNotThere) {
  ModelDefinition a = Definition("a", 8);
  a.inputs.push_back(Fp32("EXTRA"));
  a.inputs[1].optional = true;
  a.outputs.push_back(Fp32("NEVER"));
  Serve(a, Executing(AddUp));
  ModelDefinition ensemble = Ensemble(
      "e", {Step("a", {{"IN", "IN"}, {"EXTRA", "EXTRA"}}, {{"OUT", "MID"}, {"NEVER", "X"}}),
            Step("a", {{"IN", "MID"}, {"EXTRA", "X"}}, {{"OUT", "OUT"}})});
  ensemble.inputs = a.inputs;
  Serve(ensemble);
  EXPECT_EQ(Out(*Infer("e", Row(1))), (std::vector<float>{3}));

  // Where it is required there is no way on.
  ensemble.name = "required";
  ensemble.steps[1] = Step("a", {{"IN", "X"}}, {{"OUT", "OUT"}});
  Serve(ensemble);
  const auto refused = Infer("required", Row(1));
  EXPECT_EQ(refused->response.status.code(), Code::kInvalidArgument);
  EXPECT_EQ(refused->response.status.message().rfind(
                "in ensemble 'required', step 1 (model 'a'): expected number of inputs between 1 "
                "and 2 but got 0 inputs",
                0),
            0u)
      << refused->response.status.message();
}

TEST_F(EnsembleTest, AnOutputThatNoStepGivesIsAnError) {
  ModelDefinition a = Definition("a", 8);
  a.outputs.push_back(Fp32("NEVER"));
  Serve(std::move(a), Executing(AddUp));
  Serve(Ensemble("e", {Step("a", {{"IN", "IN"}}, {{"NEVER", "OUT"}})}));
  const auto answer = Infer("e", Row(1));
  EXPECT_EQ(answer->response.status.code(), Code::kInvalidArgument);
  EXPECT_EQ(answer->response.status.message(),
            "in ensemble 'e', unexpected deadlock, at least one output is not set while no more "
            "ensemble steps can be made: output 'OUT'");
  EXPECT_TRUE(answer->response.outputs.empty());
}

TEST_F(EnsembleTest, AnOutputIsWhatTheDefinitionOfTheEnsembleSays) {
  Serve(Definition("a", 8), Executing(AddUp));
  ModelDefinition ensemble = Ensemble("e", {Step("a", {{"IN", "IN"}}, {{"OUT", "OUT"}})});
  ensemble.outputs[0].dims = Shape{2};
  Serve(ensemble);
  EXPECT_EQ(Out(*Infer("e", Floats({1, 2}, {1, 2}))), (std::vector<float>{2, 3}));
  const auto wrong_shape = Infer("e", Row(1));
  EXPECT_EQ(wrong_shape->response.status.code(), Code::kInternal);
  EXPECT_EQ(wrong_shape->response.status.message(),
            "in ensemble 'e', output 'OUT' of model 'e' has shape [1,1], the configuration says "
            "[-1,2]");
  EXPECT_TRUE(wrong_shape->response.outputs.empty());
}

TEST_F(EnsembleTest, AnOutputHasTheRowsOfTheRequest) {
  // Without a batch axis of its own it answers with rows of its own making.
  ModelDefinition member = Definition("rows", 0);
  member.inputs[0].dims = Shape{-1, 1};
  member.outputs[0].dims = Shape{-1, 1};
  Serve(std::move(member), Executing([](Batch& batch) {
          batch.CompleteUnanswered(batch.Scatter(0, Floats({3, 1}, {1, 2, 3})));
        }));
  Serve(Ensemble("e", {Step("rows", {{"IN", "IN"}}, {{"OUT", "OUT"}})}));
  EXPECT_EQ(Infer("e", Floats({2, 1}, {1, 2}))->response.status.message(),
            "in ensemble 'e', output 'OUT' of model 'e' has shape [3,1], but the batch has 2 rows");
}

TEST_F(EnsembleTest, AFailureNamesEnsembleStepAndModel) {
  Serve(Definition("a", 8), Executing(AddUp));
  Serve(Definition("b", 8), Executing(Failing("bad picture")));
  Serve(Chain("e", "a", "b"));
  const auto answer = Infer("e", Row(1));
  EXPECT_EQ(answer->response.status.code(), Code::kInvalidArgument);
  EXPECT_EQ(answer->response.status.message(), "in ensemble 'e', step 1 (model 'b'): bad picture");
  EXPECT_TRUE(answer->response.outputs.empty());
  const ModelCounts counts = server_.Counts("e");
  EXPECT_EQ(counts.fail.count, 1u);
  EXPECT_EQ(counts.failures[static_cast<size_t>(FailureReason::kOther)], 1u);
}

TEST_F(EnsembleTest, AFailureIsAnsweredOnceTheOtherStepsHaveEnded) {
  Puppet slow(AddUp);
  Puppet bad(Failing("first"));
  Serve(Definition("slow", 8), slow.Factory());
  Serve(Definition("bad", 8), bad.Factory());
  ModelDefinition ensemble = Ensemble("e", {Step("slow", {{"IN", "IN"}}, {{"OUT", "A"}}),
                                            Step("bad", {{"IN", "IN"}}, {{"OUT", "OUT"}}),
                                            Step("slow", {{"IN", "A"}}, {{"OUT", "B"}})});
  ensemble.outputs.push_back(Fp32("B"));
  Serve(std::move(ensemble));
  server_.Send("e", Row(1));
  slow.Begun(1);
  bad.Allow(1);
  // That of 'e' and its first step.
  while (server_.engine.inflight() > 2) std::this_thread::yield();
  EXPECT_EQ(server_.answers.count(), 0u);
  slow.Allow(1);
  EXPECT_EQ(server_.answers.Next()->response.status.message(),
            "in ensemble 'e', step 1 (model 'bad'): first");
  EXPECT_EQ(server_.Counts("slow").execution_count, 1u);  // the third step was not begun
}

TEST_F(EnsembleTest, EachStepNeedsAModel) {
  Serve(Definition("a", 8), Executing(AddUp));
  const Status status =
      server_.engine.Load(Chain("e", "a", "b"), nullptr, {server_.Served("a")}).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.message(), "ensemble 'e': 1 models for 2 steps");
}

TEST_F(EnsembleTest, AMemberThatIsUnloadedTooEarlyIsNamed) {
  Serve(Definition("a", 8), Executing(AddUp));
  Serve(Definition("b", 8), Executing(AddUp));
  Serve(Chain("e", "a", "b"));
  ASSERT_TRUE(server_.engine.Unload(server_.Served("b"), std::nullopt).ok());
  const auto answer = Infer("e", Row(1));
  EXPECT_EQ(answer->response.status.code(), Code::kUnavailable);
  EXPECT_EQ(answer->response.status.message(),
            "in ensemble 'e', step 1 (model 'b'): the model is being unloaded");
}

TEST_F(EnsembleTest, KeepsItsMembersAlsoWhenTheyAreReplaced) {
  const Names in = {{"IN", "IN"}};
  const Names out = {{"OUT", "OUT"}};
  Serve(Definition("a", 8), Executing(AddUp));
  Serve(Ensemble("before", {Step("a", in, out)}));
  ModelDefinition replacement = Definition("a", 8);
  replacement.inputs = {Fp32("OTHER")};
  Serve(std::move(replacement), Executing(AddUp));
  Serve(Ensemble("after", {Step("a", {{"OTHER", "IN"}}, out)}));
  EXPECT_EQ((*server_.submitter.Find("a", std::nullopt))->definition().inputs[0].name, "OTHER");
  EXPECT_EQ(Out(*Infer("before", Row(1))), (std::vector<float>{2}));
  EXPECT_EQ(Out(*Infer("after", Row(1))), (std::vector<float>{2}));
}

TEST_F(EnsembleTest, MembersWithoutTheTensorsOfAStepAreNamed) {
  Serve(Definition("a", 8), Executing(AddUp));
  Serve(Ensemble("inputs", {Step("a", {{"NOPE", "IN"}}, {{"OUT", "OUT"}})}));
  Serve(Ensemble("outputs", {Step("a", {{"IN", "IN"}}, {{"NOPE", "OUT"}})}));
  EXPECT_EQ(Infer("inputs", Row(1))->response.status.message(),
            "in ensemble 'inputs', step 0 (model 'a'): the model has no input 'NOPE'");
  EXPECT_EQ(Infer("outputs", Row(1))->response.status.message(),
            "in ensemble 'outputs', step 0 (model 'a'): the model has no output 'NOPE'");
}

TEST_F(EnsembleTest, AFullQueueOfAMemberIsUnavailable) {
  Puppet second(AddUp);
  ModelDefinition b = Definition("b", 8);
  b.batching.max_queue_size = 1;
  Serve(Definition("a", 8), Executing(AddUp));
  Serve(std::move(b), second.Factory());
  Serve(Chain("e", "a", "b"));
  server_.Send("e", Row(0));
  second.Begun(1);
  server_.Send("e", Row(1));
  WaitForQueue("b", 1);
  const auto refused = Infer("e", Row(2));
  EXPECT_EQ(refused->response.status.code(), Code::kUnavailable);
  EXPECT_EQ(refused->response.status.message(),
            "in ensemble 'e', step 1 (model 'b'): [request id: <id_unknown>] Exceeds maximum queue "
            "size");
  second.Allow(2);
  EXPECT_EQ(Out(*server_.answers.Next()), (std::vector<float>{2}));
  EXPECT_EQ(Out(*server_.answers.Next()), (std::vector<float>{3}));
}

TEST_F(EnsembleTest, RequestsInFlightAreBounded) {
  Puppet puppet(AddUp);
  Serve(Definition("a", 8), puppet.Factory());
  ModelDefinition ensemble = Ensemble("e", {Step("a", {{"IN", "IN"}}, {{"OUT", "OUT"}})});
  ensemble.max_inflight_requests = 2;
  Serve(std::move(ensemble));
  server_.Send("e", Row(0));
  server_.Send("e", Row(1));
  const auto refused = Infer("e", Row(2));
  EXPECT_EQ(refused->response.status.code(), Code::kUnavailable);
  EXPECT_EQ(refused->response.status.message(),
            "[request id: <id_unknown>] ensemble 'e' works on 2 requests already");
  puppet.Allow(3);
  server_.answers.Next();
  server_.answers.Next();
  EXPECT_TRUE(Infer("e", Row(3))->response.status.ok());
}

TEST_F(EnsembleTest, EnsemblesCanBeMembers) {
  Serve(Definition("a", 8), Executing(AddUp));
  Serve(Definition("bad", 8), Executing(Failing("broken")));
  Serve(Chain("inner", "a", "a"));
  Serve(Chain("outer", "inner", "inner"));
  EXPECT_EQ(Out(*Infer("outer", Row(10))), (std::vector<float>{14}));
  Serve(Chain("inner_bad", "a", "bad"));
  Serve(Chain("outer_bad", "a", "inner_bad"));
  EXPECT_EQ(Infer("outer_bad", Row(1))->response.status.message(),
            "in ensemble 'outer_bad', step 1 (model 'inner_bad'): in ensemble 'inner_bad', step 1 "
            "(model 'bad'): broken");
}

TEST_F(EnsembleTest, ServesThousandsOfRequestsOfManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  for (const char* name : {"a", "b"}) {
    ModelDefinition member = Definition(name, 8);
    testing::AddInstance(member);
    member.batching.dynamic = true;
    Serve(std::move(member), Executing(AddUp));
  }
  ModelDefinition join = Definition("join", 8);
  join.inputs = {Fp32("L"), Fp32("R")};
  join.batching.dynamic = true;
  Serve(std::move(join), Executing(AddUp));
  Serve(Ensemble("inner", {Step("a", {{"IN", "IN"}}, {{"OUT", "l"}}),
                           Step("b", {{"IN", "IN"}}, {{"OUT", "r"}}),
                           Step("join", {{"L", "l"}, {"R", "r"}}, {{"OUT", "OUT"}})}));
  Serve(Chain("outer", "inner", "a"));
  std::vector<std::thread> clients;
  for (int client = 0; client < kThreads; ++client) {
    clients.emplace_back([this, client] {
      Submitter submitter(server_.engine.snapshot());
      testing::Answers answers;
      for (int i = 0; i < kEach; ++i) {
        auto request = std::make_unique<Request>(*submitter.Find("outer", std::nullopt));
        const int value = client * kEach + i;
        request->id = std::to_string(value);
        request->inputs[0] = Row(static_cast<float>(value));
        request->completion = &answers;
        ASSERT_TRUE(submitter.Submit(request).ok());
        if (i % 8 == 0) submitter.Flush();
      }
      submitter.Flush();
      for (int i = 0; i < kEach; ++i) {
        const auto answer = answers.Next();
        ASSERT_EQ(Out(*answer).at(0), 2 * std::stof(answer->id) + 4);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(server_.Counts("outer").success.count, uint64_t{kThreads} * kEach);
  EXPECT_EQ(server_.Counts("join").inference_count, uint64_t{kThreads} * kEach);
}

}  // namespace
}  // namespace despina
