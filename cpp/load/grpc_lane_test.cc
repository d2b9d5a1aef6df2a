#include "load/grpc_lane.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/text.h"
#include "frontend/testing/fake_model.h"
#include "grpc/server.h"
#include "grpc/testing/client.h"
#include "load/generator.h"
#include "load/testing/bytes.h"
#include "load/testing/measure.h"
#include "load/testing/odd_server.h"
#include "net/listener.h"

namespace despina::load {
namespace {

using frontend::testing::FakeModel;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Measure;

constexpr const char* kUnary = "/inference.GRPCInferenceService/ModelInfer";
constexpr const char* kStream = "/inference.GRPCInferenceService/ModelStreamInfer";

// Behind its prefix.
std::string InferRequest(std::string_view model, size_t floats = 2) {
  return grpc::testing::Framed(grpc::testing::InferMessage(model, "", 1, floats));
}

GrpcTarget GrpcTargetAt(uint16_t port, std::string_view request, bool stream = false) {
  const auto bytes = testing::BytesOf(request);
  return {.endpoint = *net::Endpoint::Resolve("127.0.0.1", port),
          .authority = "test",
          .path = stream ? kStream : kUnary,
          .metadata = {{"x", "y"}},
          .request = {bytes.begin(), bytes.end()},
          .stream = stream};
}

// Of the server that this project is.
class GrpcLaneTest : public ::testing::Test {
 protected:
  ~GrpcLaneTest() override {
    server_.reset();
    held_->Release();
  }

  uint16_t Start(grpc::Options options = {}) {
    options.port = 0;
    auto server =
        grpc::Serve(std::move(options), snapshot_, control_, regions_, pool_, Clock::System());
    EXPECT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
    return server_->port();
  }

  BufferPool pool_;
  frontend::ControlQueue control_;
  SharedRegions regions_;
  std::shared_ptr<FakeModel> now_ = std::make_shared<FakeModel>("now", FakeModel::Answers::kAtOnce);
  std::shared_ptr<FakeModel> thread_ =
      std::make_shared<FakeModel>("thread", FakeModel::Answers::kOnItsThread);
  std::shared_ptr<FakeModel> held_ =
      std::make_shared<FakeModel>("held", FakeModel::Answers::kWhenReleased);
  std::shared_ptr<FakeModel> parts_ =
      std::make_shared<FakeModel>("parts", FakeModel::Answers::kWhenReleased, true);
  Published<Snapshot> snapshot_{frontend::testing::SnapshotOf({now_, thread_, held_, parts_})};
  std::unique_ptr<net::Server> server_;
  size_t arrivals_ = 0;
};

TEST_F(GrpcLaneTest, KeepsAServerBusy) {
  const Plan plan{.duration = seconds(1)};
  const Figures figures = Measure(plan, 8, GrpcTargetAt(Start(), InferRequest("thread")));
  EXPECT_EQ(figures.failed, 0U);
  EXPECT_GT(figures.succeeded(), 8U);
  EXPECT_EQ(figures.statuses.at(0), figures.succeeded());
  EXPECT_EQ(figures.measured, plan.duration);
  EXPECT_EQ(figures.fatal, "");
}

TEST_F(GrpcLaneTest, ALaneHasAConnectionOfItsOwnUnlessStreamsShareOne) {
  const auto connections = [&](size_t streams) {
    GrpcTarget target = GrpcTargetAt(Start(), InferRequest("held"));
    target.streams_per_connection = streams;
    auto started = Generator::Start({}, 7, 2, std::move(target));
    held_->WaitForArrivals(arrivals_ += 7);
    const size_t count = server_->connections();
    return count;
  };
  EXPECT_EQ(connections(1), 7U);
  // Threads share none.
  EXPECT_EQ(connections(3), 3U);
  EXPECT_EQ(connections(100), 2U);
}

TEST_F(GrpcLaneTest, SendsAsManyAsItIsToldOverSharedConnectionsOfSeveralThreads) {
  GrpcTarget target = GrpcTargetAt(Start(), InferRequest("thread"));
  target.streams_per_connection = 16;
  EXPECT_EQ(Measure({.requests = 2001}, 64, std::move(target), 2).succeeded(), 2001U);
}

TEST_F(GrpcLaneTest, SendsAtARate) {
  const Plan plan{.rate = 500, .requests = 200};
  const Figures figures = Measure(plan, 16, GrpcTargetAt(Start(), InferRequest("now")), 2);
  EXPECT_EQ(figures.succeeded(), 200U);
  EXPECT_GE(figures.measured, milliseconds(390));
}

TEST_F(GrpcLaneTest, SendsRequestsThatNeedManyFramesAndWindows) {
  GrpcTarget target = GrpcTargetAt(Start(), InferRequest("thread", 3'000'000));
  target.streams_per_connection = 3;
  const Figures figures = Measure({.requests = 12}, 6, std::move(target));
  EXPECT_EQ(figures.succeeded(), 12U);
  EXPECT_EQ(figures.failed, 0U);
}

TEST_F(GrpcLaneTest, CountsWhatTheServerRefuses) {
  const Figures figures =
      Measure({.requests = 20}, 2, GrpcTargetAt(Start(), InferRequest("nobody")));
  EXPECT_EQ(figures.failed, 20U);
  EXPECT_EQ(figures.statuses.at(5), 20U);
  ASSERT_EQ(figures.failures.counts().size(), 1U);
  const std::string& text = figures.failures.counts().begin()->first;
  EXPECT_EQ(text.substr(0, 11), "NOT_FOUND: ");
  EXPECT_NE(text.find("nobody"), std::string::npos) << text;
}

TEST_F(GrpcLaneTest, GivesUpWhatIsNotAnsweredInTimeAndGoesOnOverTheSameConnection) {
  GrpcTarget target = GrpcTargetAt(Start(), InferRequest("held"));
  target.streams_per_connection = 2;
  const Figures figures = Measure({.requests = 4, .timeout = milliseconds(60)}, 2, target);
  EXPECT_EQ(figures.failures.counts().at("no answer within 60 ms"), 4U);
  EXPECT_TRUE(figures.statuses.empty());
  // The server is told.
  held_->WaitForCancellations(4);
}

TEST_F(GrpcLaneTest, GivesUpWhatTheServerHasNotAllowedToBegin) {
  grpc::Options options;
  options.limits.max_concurrent_streams = 1;
  GrpcTarget target = GrpcTargetAt(Start(std::move(options)), InferRequest("held"));
  target.streams_per_connection = 3;
  const Figures figures = Measure({.requests = 6, .timeout = milliseconds(60)}, 3, target);
  EXPECT_EQ(figures.failed, 6U);
}

TEST_F(GrpcLaneTest, CountsTheResponsesOfAStream) {
  auto started =
      Generator::Start({.requests = 1}, 1, 1, GrpcTargetAt(Start(), InferRequest("parts"), true));
  ASSERT_TRUE(started.ok());
  parts_->WaitForArrivals(1);
  for (const float value : {1.0F, 2.0F, 3.0F}) parts_->SendPart(value);
  parts_->End();
  ASSERT_TRUE((*started)->Wait(seconds(60)));
  const Figures figures = (*started)->Finish();
  EXPECT_EQ(figures.succeeded(), 1U);
  EXPECT_EQ(figures.responses, 3U);
  EXPECT_EQ(figures.first_response.count(), 1U);
  EXPECT_EQ(figures.between_responses.count(), 2U);
}

TEST_F(GrpcLaneTest, TakesAResponseThatTellsAnErrorForAFailure) {
  auto started =
      Generator::Start({.requests = 1}, 1, 1, GrpcTargetAt(Start(), InferRequest("parts"), true));
  ASSERT_TRUE(started.ok());
  parts_->WaitForArrivals(1);
  parts_->SendPart(1);
  parts_->End({Code::kInternal, "no more"});
  ASSERT_TRUE((*started)->Wait(seconds(60)));
  const Figures figures = (*started)->Finish();
  EXPECT_EQ(figures.failures.counts().at("no more"), 1U);
  EXPECT_EQ(figures.first_response.count(), 1U);
}

TEST_F(GrpcLaneTest, KeepsAnAnswerThatIsWanted) {
  GrpcTarget target = GrpcTargetAt(Start(), std::string(5, '\0'));
  target.path = "/inference.GRPCInferenceService/ServerLive";
  target.kept = std::make_shared<std::string>();
  const auto kept = target.kept;
  EXPECT_EQ(Measure({.requests = 1}, 1, std::move(target)).succeeded(), 1U);
  EXPECT_EQ(*kept, "\x08\x01");
}

TEST_F(GrpcLaneTest, StopsAtOnceWhenItIsTold) {
  auto started = Generator::Start({}, 2, 1, GrpcTargetAt(Start(), InferRequest("held")));
  held_->WaitForArrivals(2);
  (*started)->Stop();
  const Figures figures = (*started)->Finish();
  EXPECT_EQ(figures.succeeded() + figures.failed, 0U);
}

TEST_F(GrpcLaneTest, ConnectsAgainWhenTheServerTakesNoMoreCalls) {
  grpc::Options options;
  options.limits.max_age = milliseconds(20);
  const uint16_t port = Start(std::move(options));
  for (const size_t streams : {1, 4}) {
    GrpcTarget target = GrpcTargetAt(port, InferRequest("thread"));
    target.streams_per_connection = streams;
    const Figures figures = Measure({.duration = milliseconds(300)}, 4, std::move(target));
    EXPECT_GT(figures.succeeded(), 4U);
    EXPECT_EQ(figures.failed, 0U) << figures.failures.counts().begin()->first;
  }
}

TEST_F(GrpcLaneTest, EndsWhenTheServerDoes) {
  auto started = Generator::Start({}, 4, 1, GrpcTargetAt(Start(), InferRequest("now")));
  while ((*started)->progress().ended == 0) std::this_thread::yield();
  server_.reset();
  EXPECT_TRUE((*started)->Wait(seconds(60)));
  const Figures figures = (*started)->Finish();
  EXPECT_GT(figures.succeeded(), 0U);
  EXPECT_NE(figures.fatal.find("Connection refused"), std::string::npos) << figures.fatal;
}

TEST_F(GrpcLaneTest, SaysWhyTheServerEndsTheConnection) {
  grpc::Options options;
  options.max_connections = 1;
  const uint16_t port = Start(std::move(options));
  auto started = Generator::Start({}, 1, 1, GrpcTargetAt(port, InferRequest("held")));
  held_->WaitForArrivals(1);
  const Figures figures = Measure({.requests = 3}, 1, GrpcTargetAt(port, InferRequest("now")));
  EXPECT_EQ(figures.failed, 3U);
  for (const auto& [text, times] : figures.failures.counts()) {
    EXPECT_EQ(text,
              "the server ended the connection: ENHANCE_YOUR_CALM: the server has its limit of 1 "
              "connections");
  }
  EXPECT_TRUE(figures.statuses.empty());
}

// A frame of HTTP/2 of up to 255 bytes.
std::string Frame(char type, char flags, char stream, std::string_view content) {
  const std::string head{0, 0, static_cast<char>(content.size()), type, flags, 0, 0, 0, stream};
  return head + std::string(content);
}

Figures MeasureOddGrpc(std::string answer) {
  const testing::OddServer server(std::move(answer));
  return Measure({.requests = 6}, 2, GrpcTargetAt(server.port(), InferRequest("m")));
}

TEST(GrpcLaneOfOddServers, SaysWhatIsWrongWithTheirAnswers) {
  const std::string settings = Frame(4, 0, 0, "");
  // ":status: 200", as HPACK has it.
  const std::string head = Frame(1, 4, 1, "\x88");
  const std::string reset = Frame(3, 0, 1, std::string_view("\0\0\0\x07", 4));
  const std::string go_away = Frame(7, 0, 0,
                                    std::string_view("\0\0\0\x01\0\0\0\x0B"
                                                     "calm down",
                                                     17));
  const std::pair<std::string, std::string> cases[] = {
      {"", "the server closed the connection without an answer"},
      {settings, "the server closed the connection without an answer"},
      {settings + head, "the server closed the connection within the answer"},
      {settings + reset, "the server reset the stream: REFUSED_STREAM"},
      {settings + head + reset, "the server reset the stream: REFUSED_STREAM"},
      {settings + go_away, "the server ended the connection: ENHANCE_YOUR_CALM: calm down"},
      {settings + Frame(1, 5, 1, "\x88"), "malformed answer: no grpc-status"},
      // ":status: 404".
      {settings + Frame(1, 5, 1, "\x8D"), "status 404 of HTTP"},
  };
  for (const auto& [answer, failure] : cases) {
    const Figures figures = MeasureOddGrpc(answer);
    EXPECT_EQ(figures.failed, 6U) << failure;
    // Where only the stream has ended, the next call may come before the end of the connection.
    EXPECT_TRUE(figures.failures.counts().contains(failure)) << failure;
    EXPECT_TRUE(figures.statuses.empty());
  }
}

TEST(GrpcLaneOfOddServers, ThatSpeakSomethingElseAreMalformed) {
  for (const std::string& answer :
       {std::string("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        std::string("SSH-2.0-OpenSSH_9.2\r\n"), std::string(100, '\0'),
        // A field that HPACK does not know.
        Frame(4, 0, 0, "") + Frame(1, 4, 1, "\xFF\xFF\xFF")}) {
    const Figures figures = MeasureOddGrpc(answer);
    EXPECT_EQ(figures.failed, 6U);
    for (const auto& [text, times] : figures.failures.counts()) {
      EXPECT_EQ(text.substr(0, 18), "malformed answer: ") << text << answer;
    }
  }
}

TEST(GrpcLaneOfOddServers, SaysThatNobodyListens) {
  uint16_t port = 0;
  {
    auto listening = net::Listen("127.0.0.1", 0, 1);
    port = (*listening)[0].port;
  }
  const Figures figures = Measure({}, 2, GrpcTargetAt(port, InferRequest("m")));
  EXPECT_EQ(figures.fatal, Concat("cannot connect to 127.0.0.1:", port, ": Connection refused"));
}

}  // namespace
}  // namespace despina::load
