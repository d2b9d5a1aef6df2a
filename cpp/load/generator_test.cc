#include "load/generator.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/text.h"
#include "http/testing/server_fixture.h"
#include "load/testing/bytes.h"
#include "load/testing/measure.h"
#include "load/testing/odd_server.h"
#include "net/listener.h"

namespace despina::load {
namespace {

using http::testing::Infer;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Measure;

HttpTarget HttpTargetAt(uint16_t port, std::string_view request, bool events = false) {
  const auto bytes = testing::BytesOf(request);
  return {.endpoint = *net::Endpoint::Resolve("127.0.0.1", port),
          .request = {bytes.begin(), bytes.end()},
          .events = events};
}

// Of the server that this project is.
class GeneratorTest : public http::testing::ServerTest {};

TEST_F(GeneratorTest, KeepsAServerBusyOverHttp) {
  const Plan plan{.duration = seconds(1)};
  const Figures figures = Measure(plan, 8, HttpTargetAt(Start().port(), Infer("thread")));
  EXPECT_EQ(figures.failed, 0U);
  EXPECT_GT(figures.succeeded(), 8U);
  EXPECT_EQ(figures.statuses.at(200), figures.succeeded());
  EXPECT_EQ(figures.latency.count(), figures.succeeded());
  EXPECT_EQ(figures.measured, plan.duration);
  EXPECT_EQ(figures.fatal, "");
}

TEST_F(GeneratorTest, SendsAsManyAsItIsToldOnSeveralThreads) {
  const Figures figures =
      Measure({.requests = 1001}, 7, HttpTargetAt(Start().port(), Infer("now")), 3);
  EXPECT_EQ(figures.succeeded(), 1001U);
}

TEST_F(GeneratorTest, SendsAtARate) {
  const Plan plan{.rate = 500, .requests = 200};
  const Figures figures = Measure(plan, 16, HttpTargetAt(Start().port(), Infer("now")), 2);
  EXPECT_EQ(figures.succeeded(), 200U);
  EXPECT_GE(figures.measured, milliseconds(390));
}

TEST_F(GeneratorTest, CountsWhatTheServerRefuses) {
  const Figures figures =
      Measure({.requests = 20}, 2, HttpTargetAt(Start().port(), Infer("nobody")));
  EXPECT_EQ(figures.failed, 20U);
  EXPECT_EQ(figures.statuses.at(404), 20U);
  ASSERT_EQ(figures.failures.counts().size(), 1U);
  const auto& [text, times] = *figures.failures.counts().begin();
  EXPECT_EQ(text.substr(0, 5), "404: ");
  EXPECT_NE(text.find("nobody"), std::string::npos) << text;
  EXPECT_EQ(times, 20U);
}

TEST_F(GeneratorTest, GivesUpWhatIsNotAnsweredInTime) {
  const Plan plan{.requests = 2, .timeout = milliseconds(60)};
  const Figures figures = Measure(plan, 2, HttpTargetAt(Start().port(), Infer("held")));
  EXPECT_EQ(figures.failed, 2U);
  EXPECT_EQ(figures.failures.counts().at("no answer within 60 ms"), 2U);
}

TEST_F(GeneratorTest, StopsAtOnceWhenItIsTold) {
  auto started = Generator::Start({}, 2, 1, HttpTargetAt(Start().port(), Infer("held")));
  ASSERT_TRUE(started.ok());
  EXPECT_FALSE((*started)->Wait(Duration(1)));
  (*started)->Stop();
  const Figures figures = (*started)->Finish();
  EXPECT_EQ(figures.succeeded() + figures.failed, 0U);
}

TEST_F(GeneratorTest, EndsWhenTheServerDoes) {
  auto started = Generator::Start({}, 4, 1, HttpTargetAt(Start().port(), Infer("now")));
  ASSERT_TRUE(started.ok());
  while ((*started)->progress().ended == 0) std::this_thread::yield();
  server_.reset();
  EXPECT_TRUE((*started)->Wait(seconds(60)));
  const Figures figures = (*started)->Finish();
  EXPECT_GT(figures.succeeded(), 0U);
  EXPECT_NE(figures.fatal.find("Connection refused"), std::string::npos) << figures.fatal;
}

TEST_F(GeneratorTest, RunsAModelOfThisProcess) {
  EngineTarget target{.model = "thread", .version = {}, .inputs = {}};
  target.inputs.emplace_back(Tensor{DataType::kFp32, {2}, Slice(*pool_.Allocate(8))});
  for (const size_t threads : {1, 2}) {
    auto started = Generator::Start({.requests = 1000}, 4, threads, target, snapshot_);
    ASSERT_TRUE(started.ok());
    EXPECT_TRUE((*started)->Wait(seconds(60)));
    const Figures figures = (*started)->Finish();
    EXPECT_EQ(figures.succeeded(), 1000U);
    EXPECT_EQ(figures.failed, 0U);
  }
}

TEST_F(GeneratorTest, CountsWhatAModelOfThisProcessRefuses) {
  EngineTarget target{.model = "nobody", .version = {}, .inputs = {}};
  auto started = Generator::Start({.requests = 10}, 4, 1, target, snapshot_);
  ASSERT_TRUE(started.ok());
  EXPECT_TRUE((*started)->Wait(seconds(60)));
  const Figures figures = (*started)->Finish();
  EXPECT_EQ(figures.failed, 10U);
  EXPECT_EQ(figures.failures.counts().begin()->first.substr(0, 11), "NOT_FOUND: ");
}

TEST_F(GeneratorTest, AnAnswerThatComesAfterItsTimeIsNoSuccessInThisProcessEither) {
  const auto deaf = std::make_shared<frontend::testing::FakeModel>(
      "deaf", frontend::testing::FakeModel::Answers::kOnlyWhenReleased);
  const Published<Snapshot> snapshot{frontend::testing::SnapshotOf({deaf})};
  EngineTarget target{.model = "deaf", .version = {}, .inputs = {}};
  target.inputs.emplace_back(Tensor{DataType::kFp32, {2}, Slice(*pool_.Allocate(8))});
  const Plan plan{.requests = 1, .timeout = milliseconds(60)};
  auto started = Generator::Start(plan, 1, 1, target, snapshot);
  ASSERT_TRUE(started.ok());
  deaf->WaitForCancellations(1);
  deaf->Release();
  EXPECT_TRUE((*started)->Wait(seconds(60)));
  const Figures figures = (*started)->Finish();
  EXPECT_EQ(figures.succeeded(), 0U);
  EXPECT_EQ(figures.failures.counts().at("no answer within 60 ms"), 1U);
}

Figures MeasureOddHttp(std::string answer, bool events = false) {
  const testing::OddServer server(std::move(answer));
  return Measure({.requests = 6}, 2, HttpTargetAt(server.port(), http::testing::Get("/"), events));
}

TEST(GeneratorOfOddServers, ConnectsAgainWhenTheServerCloses) {
  const Figures figures = MeasureOddHttp("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  // One that is kept alive may be used before its end is seen.
  EXPECT_EQ(figures.succeeded() + figures.failed, 6U);
  EXPECT_GE(figures.succeeded(), 1U);
  EXPECT_EQ(MeasureOddHttp("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .succeeded(),
            6U);
  EXPECT_EQ(MeasureOddHttp("HTTP/1.1 200 OK\r\n\r\nup to the end").succeeded(), 6U);
}

TEST(GeneratorOfOddServers, SaysWhatIsWrongWithTheirAnswers) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "the server closed the connection without an answer"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
       "the server closed the connection within the answer"},
      {"SSH-2.0\r\n", "malformed answer: bad version"},
      {"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{\"error\":\"x\"}",
       "500: {\"error\":\"x\"}"},
      {"HTTP/1.1 502 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "502"},
      {"HTTP/1.1 502 No\r\n\r\nbad gateway", "502: bad gateway"},
  };
  for (const auto& [answer, failure] : cases) {
    const Figures figures = MeasureOddHttp(answer);
    EXPECT_EQ(figures.failed, 6U) << answer;
    ASSERT_EQ(figures.failures.counts().size(), 1U) << answer;
    EXPECT_EQ(figures.failures.counts().begin()->first, failure);
  }
}

TEST(GeneratorOfOddServers, KeepsLittleOfALongError) {
  const Figures figures = MeasureOddHttp("HTTP/1.1 500 No\r\n\r\n" + std::string(1 << 20, 'x'));
  EXPECT_EQ(figures.failed, 6U);
  for (const auto& [text, times] : figures.failures.counts()) EXPECT_LE(text.size(), 1100U);
}

TEST(GeneratorOfOddServers, TakesAnEventThatTellsAnErrorForAFailure) {
  const std::string head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
  const Figures good = MeasureOddHttp(head + "data: {\"a\":1}\n\ndata: {\"a\":2}\n\n", true);
  EXPECT_EQ(good.responses, 12U);
  EXPECT_EQ(good.first_response.count(), 6U);
  EXPECT_EQ(good.between_responses.count(), 6U);
  const Figures bad =
      MeasureOddHttp(head + "data: {\"a\":1}\n\ndata: {\"error\":\"no\"}\n\n", true);
  EXPECT_EQ(bad.failures.counts().at("{\"error\":\"no\"}"), 6U);
  EXPECT_EQ(bad.first_response.count(), 6U);
  EXPECT_EQ(bad.between_responses.count(), 0U);
}

TEST(GeneratorOfOddServers, SaysThatNobodyListens) {
  uint16_t port = 0;
  {
    auto listening = net::Listen("127.0.0.1", 0, 1);
    port = (*listening)[0].port;
  }
  const Figures figures = Measure({}, 2, HttpTargetAt(port, http::testing::Get("/")));
  EXPECT_EQ(figures.fatal, Concat("cannot connect to 127.0.0.1:", port, ": Connection refused"));
}

}  // namespace
}  // namespace despina::load
