#include "host/native_model.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "base/text.h"
#include "engine/testing.h"
#include "memory/copy.h"

namespace despina::host {
namespace {

using despina::testing::Floats;
using despina::testing::FloatsOf;
using despina::testing::Strings;
using despina::testing::StringsOf;

std::shared_ptr<NativeBackend> Probe() {
  const auto library = LoadLibrary(Concat(DESPINA_TEST_BACKENDS, "libprobe.so"), "probe");
  EXPECT_TRUE(library.ok()) << library.status().message();
  auto backend = NativeBackend::Create(**library, {{"key", "value"}});
  EXPECT_TRUE(backend.ok());
  return *std::move(backend);
}

NativeModelSpec Spec(int32_t max_batch_size = 8) {
  NativeModelSpec spec;
  spec.name = "m";
  spec.version = "1";
  spec.metric_labels = {{"model", "m"}, {"version", "1"}};
  spec.max_batch_size = max_batch_size;
  return spec;
}

// The configuration lists the tensors in another order than the backend does.
ModelDefinition Definition(bool decoupled = false) {
  ModelDefinition definition = despina::testing::Definition("m", 8);
  TensorDefinition text;
  text.name = "TEXT";
  text.datatype = DataType::kBytes;
  text.dims = {-1};
  text.optional = true;
  definition.inputs.push_back(text);
  text.name = "TEXTS";
  definition.outputs.push_back(text);
  definition.batching.dynamic = true;
  definition.decoupled = decoupled;
  return definition;
}

Parameter Do(std::string what) { return {"do", std::move(what)}; }

class NativeModelTest : public ::testing::Test {
 protected:
  void Serve(ModelDefinition definition = Definition()) {
    auto model = NativeModel::Load(Probe(), Spec());
    ASSERT_TRUE(model.ok()) << model.status().message();
    const Status served =
        server_.Serve(std::move(definition), MakeNativeExecutorFactory(*std::move(model)));
    ASSERT_TRUE(served.ok()) << served.message();
  }
  std::unique_ptr<Request> Ask(std::string what, Tensor input = Floats({1, 1}, {3})) {
    auto request = server_.Make("m", std::move(input));
    request->parameters.push_back(Do(std::move(what)));
    server_.Add(std::move(request));
    server_.submitter.Flush();
    return server_.answers.Next();
  }
  void ExpectFailure(std::string what, Code code, std::string_view text) {
    const auto answer = Ask(std::move(what));
    EXPECT_EQ(answer->response.status.code(), code);
    EXPECT_NE(answer->response.status.message().find(text), std::string::npos)
        << answer->response.status.message();
  }

  despina::testing::Server server_;
};

TEST_F(NativeModelTest, TellsItsSignature) {
  const auto model = NativeModel::Load(Probe(), Spec(4));
  ASSERT_TRUE(model.ok());
  const NativeSignature& signature = (*model)->signature();
  EXPECT_EQ(signature.max_batch_size, 4);
  ASSERT_EQ(signature.inputs.size(), 2u);
  EXPECT_EQ(signature.inputs[0].name, "TEXT");
  EXPECT_EQ(signature.inputs[0].datatype, DataType::kBytes);
  EXPECT_TRUE(signature.inputs[0].optional);
  EXPECT_EQ(signature.inputs[1].dims, Shape({-1}));
}

TEST_F(NativeModelTest, TellsWhetherItsAnswersMayComeInParts) {
  EXPECT_EQ((*NativeModel::Load(Probe(), Spec()))->signature().decoupled, std::nullopt);
  NativeModelSpec spec = Spec();
  spec.parameters = {{"decoupled", ""}};
  EXPECT_EQ((*NativeModel::Load(Probe(), spec))->signature().decoupled, true);
}

TEST_F(NativeModelTest, SaysWhyAModelCannotBeLoaded) {
  NativeModelSpec spec = Spec();
  spec.parameters = {{"throw", ""}};
  EXPECT_EQ(NativeModel::Load(Probe(), spec).status().message(), "there are no weights");
  EXPECT_EQ(NativeModel::Load(Probe(), spec).status().code(), Code::kNotFound);
  spec.parameters = {{"odd", ""}};
  EXPECT_EQ(NativeModel::Load(Probe(), spec).status().message(),
            "an exception that is no std::exception");
  spec.parameters = {{"broken", ""}};
  EXPECT_EQ(NativeModel::Load(Probe(), spec).status().message(),
            "input 'TEXT' of its signature has shape [-2]");
}

TEST_F(NativeModelTest, SaysWhyAnInstanceCannotBeMade) {
  auto model = NativeModel::Load(Probe(), Spec());
  ModelDefinition definition = Definition();
  definition.instances[0].ordinal = 9;
  const Status served =
      server_.Serve(std::move(definition), MakeNativeExecutorFactory(*std::move(model)));
  EXPECT_EQ(served.code(), Code::kResourceExhausted);
  EXPECT_EQ(served.message(), "instance 'm_0': no room for another one");
}

TEST_F(NativeModelTest, RunsABatchInOneMemoryAndAnswersEachWithItsRows) {
  Serve();
  for (int i = 0; i < 3; ++i) {
    server_.Add(server_.Make("m", Floats({1, 2}, {float(i), 10.0F + float(i)})));
  }
  server_.submitter.Flush();
  for (int i = 0; i < 3; ++i) {
    const auto answer = server_.answers.Next();
    ASSERT_TRUE(answer->response.status.ok()) << answer->response.status.message();
    EXPECT_EQ(FloatsOf(answer->response.outputs[0].tensor),
              (std::vector<float>{2.0F * float(i), 20.0F + 2.0F * float(i)}));
  }
}

TEST_F(NativeModelTest, CopiesNoTensorOfASingleRequest) {
  Serve();
  const uint64_t before = TensorCopies().copies;
  EXPECT_TRUE(Ask("")->response.status.ok());
  EXPECT_TRUE(Ask("give")->response.status.ok());
  EXPECT_EQ(TensorCopies().copies, before);
}

TEST_F(NativeModelTest, CopiesTheTensorsOfABatchOnce) {
  ModelDefinition definition = Definition();
  definition.batching.preferred_rows = {3};
  definition.batching.max_delay = std::chrono::hours(1);
  Serve(std::move(definition));
  const CopyStatistics before = TensorCopies();
  for (const float value : {1.0F, 2.0F, 3.0F}) {
    server_.Add(server_.Make("m", Floats({1, 1}, {value})));
  }
  server_.submitter.Flush();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(server_.answers.Next()->response.status.ok());
  EXPECT_EQ(TensorCopies().copies, before.copies + 3);
  EXPECT_EQ(TensorCopies().bytes, before.bytes + 3 * sizeof(float));
  EXPECT_EQ(server_.Counts("m").execution_count, 1u);
}

TEST_F(NativeModelTest, TakesMemoryOfTheBackendsAndParametersOfTheAnswer) {
  Serve();
  const auto answer = Ask("give", Floats({2, 1}, {3, 4}));
  ASSERT_TRUE(answer->response.status.ok()) << answer->response.status.message();
  EXPECT_EQ(FloatsOf(answer->response.outputs[0].tensor), (std::vector<float>{3, 4}));
  ASSERT_EQ(answer->response.parameters.size(), 1u);
  EXPECT_EQ(answer->response.parameters[0].name, "rows");
  EXPECT_EQ(std::get<int64_t>(answer->response.parameters[0].value), 2);
}

// The memory went back to the pool at once, and was written by whoever got it next as well.
TEST_F(NativeModelTest, MemoryForAnOutputThatNobodyWantsIsTheBackendsUntilTheAnswer) {
  Serve();
  auto request = server_.Make("m", Floats({1, 1}, {3}));
  request->parameters.push_back(Do("write what nobody wants"));
  request->requested_outputs = {1};
  server_.Add(std::move(request));
  server_.submitter.Flush();
  const auto answer = server_.answers.Next();
  ASSERT_TRUE(answer->response.status.ok()) << answer->response.status.message();
  ASSERT_EQ(answer->response.outputs.size(), 1U);
  EXPECT_EQ(StringsOf(answer->response.outputs[0].tensor), std::vector<std::string>{"text"});
}

TEST_F(NativeModelTest, LendsTextsAndTakesThem) {
  Serve();
  auto request = server_.Make("m", Floats({1, 1}, {0}));
  request->inputs[1] = Strings({1, 3}, {"a", std::string("b\0c", 3), ""});
  request->parameters.push_back(Do("texts"));
  server_.Add(std::move(request));
  server_.submitter.Flush();
  const auto answer = server_.answers.Next();
  ASSERT_TRUE(answer->response.status.ok()) << answer->response.status.message();
  EXPECT_EQ(StringsOf(answer->response.outputs[0].tensor),
            (std::vector<std::string>{"a", std::string("b\0c", 3), ""}));
}

TEST_F(NativeModelTest, FailsWhatTheBackendThrows) {
  Serve();
  ExpectFailure("throw", Code::kInvalidArgument, "a request is not to my liking");
  ExpectFailure("throw odd", Code::kInternal, "an exception that is no std::exception");
  ExpectFailure("texts", Code::kNotFound, "input 0 was left out");
  ExpectFailure("wrong output", Code::kInternal,
                "model 'm' version 1 instance 'm_0': there is no output 7");
  ExpectFailure("wrong type", Code::kInternal, "output 'OUT' of model 'm'");
  ExpectFailure("wrong input", Code::kInvalidArgument, "another datatype than asked for");
  EXPECT_TRUE(Ask("")->response.status.ok());
}

#ifndef NDEBUG
TEST_F(NativeModelTest, ChecksTheBoundsOfViewsInDebugBuilds) {
  Serve();
  ExpectFailure("index", Code::kInternal, "element 1000000 of 1");
}
#endif

TEST_F(NativeModelTest, FailsOneRequestAlone) {
  Serve();
  EXPECT_EQ(Ask("fail one")->response.status.message(), "not this one");
  ExpectFailure("fail silently", Code::kNotFound, "the backend gave code 5 and no reason");
}

TEST_F(NativeModelTest, AnswersOnceWhateverTheBackendDoes) {
  Serve();
  EXPECT_TRUE(Ask("twice")->response.status.ok());
  EXPECT_TRUE(Ask("")->response.status.ok());
  EXPECT_EQ(server_.Counts("m").success.count, 2u);
}

TEST_F(NativeModelTest, CompletesADetachedRequestLater) {
  Serve();
  const auto answer = Ask("detach");
  ASSERT_TRUE(answer->response.status.ok()) << answer->response.status.message();
  EXPECT_EQ(FloatsOf(answer->response.outputs[0].tensor), (std::vector<float>{103}));
}

// Its handle was free twice, and two requests of the next batch were one.
TEST_F(NativeModelTest, ARequestThatIsDetachedAndCompletedWithinExecuteIsFreedOnce) {
  ModelDefinition definition = Definition();
  definition.batching.preferred_rows = {2};
  Serve(std::move(definition));
  EXPECT_TRUE(Ask("detach and complete")->response.status.ok());
  for (const float value : {1.0F, 2.0F}) {
    server_.Add(server_.Make("m", Floats({1, 1}, {value})));
  }
  server_.submitter.Flush();
  for (const float value : {1.0F, 2.0F}) {
    const auto answer = server_.answers.Next();
    ASSERT_TRUE(answer->response.status.ok()) << answer->response.status.message();
    EXPECT_EQ(FloatsOf(answer->response.outputs[0].tensor), (std::vector<float>{2 * value}));
  }
}

class Parts final : public Completion {
 public:
  void OnComplete(std::unique_ptr<Request> request, Turn&) noexcept override {
    const std::lock_guard lock(mutex_);
    ended_ = std::move(request);
    changed_.notify_all();
  }
  void OnPart(const Request&, Response&& part) noexcept override {
    const std::lock_guard lock(mutex_);
    // An empty one says that the backend has begun to wait.
    parts_.push_back(part.outputs.empty() ? -1 : FloatsOf(part.outputs[0].tensor).at(0));
    changed_.notify_all();
  }
  void WaitForPart() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !parts_.empty(); });
  }
  std::unique_ptr<Request> Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_ != nullptr; });
    return std::move(ended_);
  }
  std::vector<float> parts() {
    const std::lock_guard lock(mutex_);
    return parts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Request> ended_;
  std::vector<float> parts_;
};

TEST_F(NativeModelTest, TellsTheBackendOfACancellation) {
  Serve(Definition(true));
  Parts parts;
  auto request = server_.Make("m", Floats({1, 1}, {3}));
  request->parameters.push_back(Do("wait for cancel"));
  request->completion = &parts;
  Request* submitted = server_.Add(std::move(request));
  server_.submitter.Flush();
  parts.WaitForPart();
  submitted->Cancel();
  const auto ended = parts.Wait();
  ASSERT_TRUE(ended->response.status.ok()) << ended->response.status.message();
  EXPECT_EQ(FloatsOf(ended->response.outputs[0].tensor), (std::vector<float>{1003}));
}

TEST_F(NativeModelTest, StreamsTheAnswersOfADecoupledModel) {
  Serve(Definition(true));
  Parts parts;
  auto request = server_.Make("m", Floats({1, 1}, {3}));
  request->parameters.push_back(Do("stream"));
  request->completion = &parts;
  server_.Add(std::move(request));
  server_.submitter.Flush();
  const auto ended = parts.Wait();
  EXPECT_TRUE(ended->response.status.ok()) << ended->response.status.message();
  EXPECT_TRUE(ended->response.outputs.empty());
  EXPECT_EQ(parts.parts(), (std::vector<float>{0, 1, 2}));
}

// The value of a series of the model's, by its name; of a histogram with its buckets.
std::string Metric(std::string_view wanted) {
  std::string text;
  MetricRegistry::Process().ForEach([&](const std::string& name, const MetricFamily&,
                                        const MetricLabels& labels, const MetricSeries& series) {
    if (name != wanted) return;
    for (const auto& [key, value] : labels) text += Concat(key, '=', value, ' ');
    text += std::to_string(static_cast<int>(series.value()));
    if (name != "probe_sizes") return;
    for (const uint64_t count : series.buckets()) text += Concat(' ', count);
  });
  return text;
}

TEST_F(NativeModelTest, CountsWhatItsBackendCounts) {
  auto model = NativeModel::Load(Probe(), Spec());
  ASSERT_TRUE(server_.Serve(Definition(), MakeNativeExecutorFactory(*model)).ok());
  EXPECT_TRUE(Ask("count")->response.status.ok());
  EXPECT_EQ(Metric("probe_cups_total"), "model=m size=big version=1 1");
  EXPECT_EQ(Metric("probe_heat"), "model=m version=1 65");
  EXPECT_EQ(Metric("probe_sizes"), "model=m version=1 5 1 1 1");
}

TEST_F(NativeModelTest, MetricsGoWithTheirModel) {
  auto model = NativeModel::Load(Probe(), Spec());
  EXPECT_NE(Metric("probe_heat"), "");
  model = Status(Code::kUnknown, "unloaded");
  EXPECT_EQ(Metric("probe_heat"), "");
}

TEST_F(NativeModelTest, AMetricThatThePageCannotHaveFailsTheLoad) {
  NativeModelSpec spec = Spec();
  spec.parameters = {{"metric", "no name"}};
  EXPECT_EQ(NativeModel::Load(Probe(), spec).status().message(),
            "'no name' is no name of a metric: letters, digits, '_', ':'");
  spec.parameters = {{"metric", "probe_sizes"}};
  EXPECT_EQ(NativeModel::Load(Probe(), spec).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(Metric("probe_cups_total"), "");
}

TEST_F(NativeModelTest, AWrongCountIsSaidInTheLogAndChangesNothing) {
  Serve();
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(Ask("miscount")->response.status.ok());
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("model 'm' version 1 instance 'm_0': metric_add: the metric does not take -1"),
            std::string::npos)
      << log;
  EXPECT_EQ(Metric("probe_cups_total"), "model=m size=big version=1 0");
}

TEST_F(NativeModelTest, StatisticsAreSplitWhereTheBackendSays) {
  Serve();
  const auto answer = Ask("mark");
  ASSERT_TRUE(answer->response.status.ok());
  using std::chrono::milliseconds;
  const ExecutionTimes& times = answer->state.times;
  EXPECT_GE(times.compute_input, milliseconds(2));
  EXPECT_GE(times.compute_infer, milliseconds(4));
  EXPECT_GE(times.compute_output, milliseconds(6));
}

TEST_F(NativeModelTest, SaysWhenItCannotServe) {
  auto model = NativeModel::Load(Probe(), Spec());
  ASSERT_TRUE(server_.Serve(Definition(), MakeNativeExecutorFactory(*model)).ok());
  EXPECT_TRUE((*model)->CheckReady().ok());
  EXPECT_TRUE(Ask("tire")->response.status.ok());
  const Status status = (*model)->CheckReady();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.message(), "it is tired");
}

TEST_F(NativeModelTest, RefusesToStreamForAModelThatIsNotDecoupled) {
  Serve();
  ExpectFailure("stream", Code::kFailedPrecondition, "model 'm' is not decoupled");
}

}  // namespace
}  // namespace despina::host
