#include "http/server.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/address_space.h"
#include "base/text.h"
#include "frontend/testing/fake_model.h"
#include "http/testing/client.h"
#include "http/testing/server_fixture.h"

namespace despina::http {
namespace {

using frontend::testing::FakeModel;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Client;
using testing::Get;
using testing::Infer;
using testing::InferBinary;
using testing::kJsonBody;
using testing::Post;
using testing::Reply;
using testing::ServerTest;
using Answers = FakeModel::Answers;

TEST_F(ServerTest, AnswersHealthMetadataConfigurationAndStatistics) {
  Start({.server_name = "despina", .server_version = "0.1"});
  Client client = Connect();
  EXPECT_EQ(client.Ask(Get("/v2/health/live"))->status, 200);
  EXPECT_EQ(client.Ask(Get("/v2/health/ready"))->status, 200);
  const Reply server = *client.Ask(Get("/v2"));
  EXPECT_EQ(server.fields.at("content-type"), "application/json");
  EXPECT_NE(server.body.find(R"("name":"despina")"), std::string::npos) << server.body;
  EXPECT_NE(client.Ask(Get("/v2/models/now"))->body.find(R"("INPUT0")"), std::string::npos);
  EXPECT_EQ(client.Ask(Get("/v2/models/now/versions/1/config"))->body, R"({"name":"now"})");
  const Reply all = *client.Ask(Get("/v2/models/stats"));
  EXPECT_LT(all.body.find(R"("held")"), all.body.find(R"("thread")")) << all.body;
  EXPECT_NE(client.Ask(Get("/v2/models/now/stats"))->body.find("model_stats"), std::string::npos);
  EXPECT_EQ(client.Ask(Get("/v2/models/now/ready"))->status, 200);
}

TEST_F(ServerTest, TellsWhatIsUnknownInTheProtocolsWords) {
  Start();
  Client client = Connect();
  const auto expect = [&](const std::string& request, int status, std::string_view body) {
    const std::optional<Reply> reply = client.Ask(request);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, status) << request;
    EXPECT_EQ(reply->body, body) << request;
  };
  expect(Get("/v2/"), 404, R"({"error":"Not Found"})");
  expect(Post("/v2", ""), 405, R"({"error":"Method Not Allowed"})");
  expect(Get("/v2/models/no/ready"), 400, R"({"error":"Model version not ready"})");
  expect(Get("/v2/models/no"), 404, R"({"error":"Request for unknown model: 'no' is not found"})");
  expect(Get("/v2/models/now/versions/7/config"), 404,
         R"({"error":"Request for unknown model: 'now' version 7 is not found"})");
  expect(Get("/v2/models/no/stats"), 400, R"({"error":"requested model 'no' is not available"})");
  expect(Infer("no"), 404, R"({"error":"Request for unknown model: 'no' is not found"})");
  EXPECT_EQ(client.Ask(Post("/v2", ""))->fields.at("allow"), "GET");
}

TEST_F(ServerTest, FollowsTheSnapshotThatIsPublished) {
  Start();
  Client client = Connect();
  auto next = std::make_shared<Snapshot>(*frontend::testing::SnapshotOf({}, /*ready=*/false));
  snapshot_.Publish(next);
  EXPECT_EQ(client.Ask(Get("/v2/health/ready"))->status, 400);
  EXPECT_EQ(client.Ask(Infer("now"))->status, 404);
  next = std::make_shared<Snapshot>(*next);
  next->exiting = true;
  snapshot_.Publish(next);
  EXPECT_EQ(client.Ask(Get("/v2/health/ready"))->status, 503);
  EXPECT_EQ(client.Ask(Infer("now"))->status, 503);
  EXPECT_EQ(client.Ask(Get("/v2/health/live"))->status, 200);
}

TEST_F(ServerTest, ServesMetricsOnTheirOwnPort) {
  Start({.role = Options::Role::kMetrics});
  Client client = Connect();
  const Reply reply = *client.Ask(Get("/metrics"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.fields.at("content-type"), "text/plain; charset=utf-8");
  EXPECT_NE(reply.body.find(R"(nv_inference_request_success{model="now",version="1"} 0)"),
            std::string::npos)
      << reply.body;
  EXPECT_EQ(client.Ask(Get("/metrics/"))->status, 200);
  EXPECT_EQ(client.Ask(Get("/v2"))->status, 404);
}

TEST_F(ServerTest, InfersWithJsonOnOneConnectionAgainAndAgain) {
  Start();
  Client client = Connect();
  for (const std::string_view model : {"now", "thread", "now"}) {
    const std::optional<Reply> reply = client.Ask(Infer(model));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200) << reply->body;
    EXPECT_EQ(reply->fields.at("content-type"), "application/json");
    EXPECT_NE(reply->body.find(R"("data":[1.5,2.0])"), std::string::npos) << reply->body;
  }
}

TEST_F(ServerTest, InfersWithBinaryTensorsOfAnySize) {
  Start();
  Client client = Connect();
  for (const size_t floats : {size_t{1}, size_t{1000}, size_t{150'528}, size_t{2'000'000}}) {
    const std::string request = InferBinary("thread", floats);
    const std::optional<Reply> reply = client.Ask(request);
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->status, 200) << reply->body;
    EXPECT_EQ(reply->fields.at("content-type"), "application/octet-stream");
    const size_t json = std::stoull(reply->fields.at("inference-header-content-length"));
    EXPECT_EQ(reply->body.substr(json), request.substr(request.size() - 4 * floats));
  }
}

TEST_F(ServerTest, InfersWithChunkedBodiesAndWithRawOnes) {
  Start();
  Client client = Connect();
  const std::optional<Reply> chunked = client.Ask(Concat(
      "POST /v2/models/thread/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "14\r\n",
      kJsonBody.substr(0, 20), "\r\n", "37\r\n", kJsonBody.substr(20), "\r\n0\r\n\r\n"));
  ASSERT_TRUE(chunked);
  EXPECT_EQ(chunked->status, 200) << chunked->body;
  const std::optional<Reply> raw = client.Ask(
      Post("/v2/models/thread/infer", "12345678", "Inference-Header-Content-Length: 0\r\n"));
  ASSERT_TRUE(raw);
  EXPECT_EQ(raw->status, 200) << raw->body;
  EXPECT_TRUE(raw->body.ends_with("12345678")) << raw->body;
}

TEST_F(ServerTest, TellsWhatIsWrongWithARequest) {
  Start();
  Client client = Connect();
  const std::string path = "/v2/models/now/infer";
  const auto expect = [&](std::string_view body, std::string_view fields, int status) {
    const std::optional<Reply> reply = client.Ask(Post(path, body, fields));
    ASSERT_TRUE(reply) << body;
    EXPECT_EQ(reply->status, status) << reply->body;
    EXPECT_TRUE(reply->body.starts_with(R"({"error":")")) << reply->body;
  };
  expect("{", "", 400);
  expect("{}", "", 400);
  expect(kJsonBody, "Inference-Header-Content-Length: 10\r\n", 400);
  expect(kJsonBody, "Inference-Header-Content-Length: 1000\r\n", 400);
  expect(kJsonBody, "Inference-Header-Content-Length: -1\r\n", 400);
  expect(kJsonBody, "Inference-Header-Content-Length: abc\r\n", 400);
  expect(kJsonBody, "Inference-Header-Content-Length: 18446744073709551616\r\n", 400);
  expect(kJsonBody, "Content-Encoding: br\r\n", 501);
  // All on one connection, which is as good as before.
  EXPECT_EQ(client.Ask(Post(path, kJsonBody, "Content-Encoding: identity\r\n"))->status, 200);
}

TEST_F(ServerTest, AnswersAsManyConnectionsAsThereAreInParallel) {
  for (const unsigned threads : {1U, 2U}) {
    Start({.threads = threads});
    std::atomic<int> answered{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < 64; ++i) {
      clients.emplace_back([&, i] {
        Client client = Connect();
        const std::string request = InferBinary(i % 2 == 0 ? "thread" : "now", 100 + i);
        for (int k = 0; k < 5; ++k) {
          const std::optional<Reply> reply = client.Ask(request);
          if (reply && reply->status == 200) ++answered;
        }
      });
    }
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(answered, 64 * 5);
    EXPECT_TRUE(server_->Close(Clock::System().Now() + seconds(10)));
    EXPECT_EQ(server_->bytes_in_flight(), 0U);
  }
}

TEST_F(ServerTest, NamesTheAddressWhosePortIsInUse) {
  const uint16_t port = Start().port();
  for (const unsigned threads : {1U, 2U}) {
    const auto second = Serve({.port = port, .threads = threads}, snapshot_, control_, regions_,
                              pool_, Clock::System());
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.status().message(),
              Concat("failed to start HTTP service: 127.0.0.1:", port, " already in use"));
  }
}

TEST_F(ServerTest, NamesAnAddressThatIsNotOfThisMachine) {
  for (const std::string address : {"203.0.113.1", "not an address"}) {
    const auto server = Serve({.address = address, .port = 0}, snapshot_, control_, regions_, pool_,
                              Clock::System());
    ASSERT_FALSE(server.ok());
    EXPECT_EQ(server.status().code(), Code::kInvalidArgument);
    EXPECT_NE(server.status().message().find(address), std::string::npos);
  }
}

TEST_F(ServerTest, SaysThatThereAreNoThreadsForIt) {
#ifdef DESPINA_SANITIZED
  GTEST_SKIP() << "sanitizers need more address space than this test leaves";
#endif
  // Room for the stack of one thread, and not for that of a second one.
  constexpr size_t kStack = size_t{256} << 20;
  pthread_attr_t attributes;
  ASSERT_EQ(::pthread_getattr_default_np(&attributes), 0);
  size_t usual_stack = 0;
  ASSERT_EQ(::pthread_attr_getstacksize(&attributes, &usual_stack), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&attributes, kStack), 0);
  ASSERT_EQ(::pthread_setattr_default_np(&attributes), 0);
  std::optional<despina::testing::LittleAddressSpace> little(kStack * 3 / 2);
  ASSERT_TRUE(little->limited());
  const auto server =
      Serve({.port = 0, .threads = 3}, snapshot_, control_, regions_, pool_, Clock::System());
  little.reset();
  ASSERT_EQ(::pthread_attr_setstacksize(&attributes, usual_stack), 0);
  ASSERT_EQ(::pthread_setattr_default_np(&attributes), 0);
  ::pthread_attr_destroy(&attributes);
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(server.status().message().rfind("failed to start HTTP service: thread 1 of 3: ", 0), 0U)
      << server.status().message();
}

TEST_F(ServerTest, SaysThatThereAreNoDescriptorsForItsLoop) {
#ifdef DESPINA_SANITIZED
  GTEST_SKIP() << "sanitizers need descriptors for their own checks";
#endif
  const int next = ::dup(0);
  ::close(next);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit little = before;
  // That of the listening socket.
  little.rlim_cur = static_cast<rlim_t>(next) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &little), 0);
  const auto server = Serve({.port = 0}, snapshot_, control_, regions_, pool_, Clock::System());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(server.status().message(),
            "failed to start HTTP service: event loop: epoll_create1: Too many open files");
}

TEST_F(ServerTest, CancelsTheRequestOfAClientThatVanishes) {
  Start();
  Client closing = Connect();
  closing.Send(Infer("held"));
  held_->WaitForArrivals(1);
  closing.Close();
  held_->WaitForCancellations(1);
  Client resetting = Connect();
  resetting.Send(Infer("held"));
  held_->WaitForArrivals(2);
  resetting.Reset();
  held_->WaitForCancellations(2);
  // Others are served, and nothing is left behind.
  EXPECT_EQ(Connect().Ask(Infer("now"))->status, 200);
  EXPECT_TRUE(server_->Close(Clock::System().Now() + seconds(10)));
  EXPECT_EQ(server_->bytes_in_flight(), 0U);
  EXPECT_EQ(held_->gate().inside(), 0U);
}

TEST_F(ServerTest, TakesAClientThatEndsItsSendingForGone) {
  Start();
  Client client = Connect();
  client.Send(Infer("held"));
  held_->WaitForArrivals(1);
  client.EndSending();
  held_->WaitForCancellations(1);
  EXPECT_TRUE(client.SeesEnd());
}

TEST_F(ServerTest, ServesTheOthersWhileClientsVanish) {
  Start({.threads = 2});
  std::atomic<int> failed{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&, i] {
      const std::string request = InferBinary("thread", 5000);
      for (int k = 0; k < 10; ++k) {
        Client vanishing = Connect();
        // Within the request, or right behind it.
        vanishing.Send(std::string_view(request).substr(
            0, request.size() - static_cast<size_t>(k % 2 * 100 * i)));
        if (k % 3 == 0) vanishing.Reset();
        vanishing.Close();
        const std::optional<Reply> reply = Connect().Ask(request);
        if (!reply || reply->status != 200) ++failed;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_TRUE(server_->Close(Clock::System().Now() + seconds(10)));
  EXPECT_EQ(server_->bytes_in_flight(), 0U);
  EXPECT_EQ(server_->connections(), 0U);
  EXPECT_EQ(thread_->gate().inside(), 0U);
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
}

TEST_F(ServerTest, ClosesConnectionsThatAreIdle) {
  Start({.idle_timeout = milliseconds(60)});
  EXPECT_TRUE(Connect().SeesEnd());
}

TEST_F(ServerTest, AnswersConnectionsThatAreLate) {
  Start({.header_timeout = milliseconds(60), .body_timeout = milliseconds(60)});
  Client in_header = Connect();
  Client in_body = Connect();
  in_header.Send("GET /v2 HTTP/1.1\r\n");
  in_body.Send("POST /v2/models/now/infer HTTP/1.1\r\nContent-Length: 10\r\n\r\nab");
  EXPECT_EQ(in_header.Read()->status, 408);
  EXPECT_TRUE(in_header.SeesEnd());
  const std::optional<Reply> late = in_body.Read();
  ASSERT_TRUE(late);
  EXPECT_EQ(late->status, 408);
  EXPECT_EQ(late->fields.at("connection"), "close");
  EXPECT_TRUE(in_body.SeesEnd());
}

TEST_F(ServerTest, ClosesOnAClientThatDoesNotReadItsAnswer) {
  Start({.body_timeout = milliseconds(60)});
  Client client = Connect();
  const int small = 4096;
  ::setsockopt(client.descriptor(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  client.Send(InferBinary("now", 4'000'000));
  const TimePoint limit = Clock::System().Now() + seconds(10);
  while (server_->connections() > 0 && Clock::System().Now() < limit) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(ServerTest, GivesTheAnswerToAClientThatIsStillSending) {
  Start({.max_body_bytes = 1000});
  Client client = Connect();
  const std::string body(8 << 20, 'x');
  EXPECT_TRUE(client.Send(Post("/v2/models/now/infer", body)));
  const std::optional<Reply> reply = client.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 413);
  EXPECT_EQ(reply->fields.at("connection"), "close");
  EXPECT_TRUE(client.SeesEnd());
}

TEST_F(ServerTest, RefusesConnectionsOverTheLimit) {
  Start({.max_connections = 2});
  Client first = Connect();
  Client second = Connect();
  EXPECT_EQ(first.Ask(Get("/v2"))->status, 200);
  EXPECT_EQ(second.Ask(Get("/v2"))->status, 200);
  Client third = Connect();
  const std::optional<Reply> reply = third.Ask(Get("/v2"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 503);
  EXPECT_TRUE(third.SeesEnd());
  EXPECT_EQ(first.Ask(Get("/v2"))->status, 200);
}

TEST_F(ServerTest, BoundsTheBytesThatAllRequestsHold) {
  Start({.max_bytes_in_flight = kJsonBody.size() * 3 / 2});
  Client holding = Connect();
  holding.Send(Infer("held"));
  held_->WaitForArrivals(1);
  EXPECT_EQ(server_->bytes_in_flight(), kJsonBody.size());
  const std::optional<Reply> refused = Connect().Ask(Infer("now"));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  held_->Release();
  EXPECT_EQ(holding.Read()->status, 200);
  EXPECT_EQ(Connect().Ask(Infer("now"))->status, 200);
}

TEST_F(ServerTest, AnswersWhatIsInWorkBeforeItCloses) {
  Start();
  const uint16_t port = server_->port();
  Client idle = Connect();
  Client busy = Connect();
  EXPECT_EQ(idle.Ask(Get("/v2"))->status, 200);
  busy.Send(Infer("held"));
  held_->WaitForArrivals(1);
  server_->StopAccepting();
  EXPECT_TRUE(idle.SeesEnd());
  EXPECT_FALSE(Client(port).connected());
  held_->Release();
  const std::optional<Reply> reply = busy.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->fields.at("connection"), "close");
  EXPECT_TRUE(busy.SeesEnd());
}

TEST_F(ServerTest, WaitsForAnswersUntilItsDeadline) {
  Start();
  Client client = Connect();
  client.Send(Infer("held"));
  held_->WaitForArrivals(1);
  server_->StopAccepting();
  std::thread later([&] {
    std::this_thread::sleep_for(milliseconds(50));
    held_->Release();
  });
  EXPECT_TRUE(server_->Close(Clock::System().Now() + seconds(10)));
  later.join();
  const std::optional<Reply> reply = client.Read();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->fields.at("connection"), "close");
  EXPECT_TRUE(client.SeesEnd());
  EXPECT_TRUE(server_->Close(TimePoint::max()));
}

TEST_F(ServerTest, CancelsWhatIsLeftAtTheDeadline) {
  Start();
  Client client = Connect();
  client.Send(Infer("held"));
  held_->WaitForArrivals(1);
  EXPECT_FALSE(server_->Close(Clock::System().Now() + milliseconds(30)));
  held_->WaitForCancellations(1);
  EXPECT_EQ(held_->gate().inside(), 0U);
}

TEST_F(ServerTest, TakesBackRequestsThatCompleteAfterItsEnd) {
  const auto stubborn = std::make_shared<FakeModel>("stubborn", Answers::kOnlyWhenReleased);
  snapshot_.Publish(frontend::testing::SnapshotOf({stubborn}));
  Start();
  Client client = Connect();
  client.Send(Infer("stubborn"));
  stubborn->WaitForArrivals(1);
  server_.reset();
  EXPECT_EQ(stubborn->gate().inside(), 1U);
  stubborn->Release();
  EXPECT_EQ(stubborn->gate().inside(), 0U);
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
}

}  // namespace
}  // namespace despina::http
