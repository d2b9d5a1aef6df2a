#include "frontend/control.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/text.h"
#include "frontend/testing/fake_model.h"
#include "http/testing/server_fixture.h"

namespace despina::http {
namespace {

using frontend::ControlCall;
using frontend::ControlQueue;
using testing::Client;
using testing::Post;

std::string TextOf(const Slice& slice) {
  return {reinterpret_cast<const char*>(slice.data()), slice.size()};
}

class ControlTest : public ::testing::Test {
 protected:
  ControlTest() {
    Options options;
    options.port = 0;
    server_ = *Serve(options, snapshot_, control_, regions_, pool_, Clock::System());
  }
  Client Connect() { return Client(server_->port()); }

  BufferPool pool_;
  ControlQueue control_;
  SharedRegions regions_;
  Published<Snapshot> snapshot_{frontend::testing::SnapshotOf({})};
  std::unique_ptr<net::Server> server_;
};

TEST_F(ControlTest, GivesWhatWasAskedForAndBringsTheAnswer) {
  Client client = Connect();
  ASSERT_TRUE(client.Send(Post("/v2/repository/models/m%20x/load", R"({"parameters":{}})")));
  const std::shared_ptr<ControlCall> call = control_.Take();
  EXPECT_EQ(call->operation(), "model_load");
  EXPECT_EQ(call->model(), "m x");
  EXPECT_EQ(TextOf(call->body()), R"({"parameters":{}})");
  EXPECT_TRUE(call->Answer(R"({"a":1})"));
  const auto reply = client.Read();
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, R"({"a":1})");
  EXPECT_EQ(reply->fields.at("content-type"), "application/json");
}

TEST_F(ControlTest, AnAnswerMayComeLaterAndOutOfOrder) {
  Client first = Connect();
  Client second = Connect();
  ASSERT_TRUE(first.Send(Post("/v2/repository/models/first/load")));
  const std::shared_ptr<ControlCall> earlier = control_.Take();
  ASSERT_TRUE(second.Send(Post("/v2/repository/models/second/unload")));
  const std::shared_ptr<ControlCall> later = control_.Take();
  EXPECT_EQ(later->operation(), "model_unload");
  later->Answer("");
  EXPECT_EQ(second.Read()->body, "");
  earlier->Fail(NotFound("no such model"));
  const auto failed = first.Read();
  EXPECT_EQ(failed->status, 404);
  EXPECT_EQ(failed->body, R"({"error":"no such model"})");
}

TEST_F(ControlTest, OneAnswerCounts) {
  Client client = Connect();
  ASSERT_TRUE(client.Send(Post("/v2/repository/models/m/load")));
  const std::shared_ptr<ControlCall> call = control_.Take();
  EXPECT_TRUE(call->Answer(""));
  EXPECT_FALSE(call->Answer(""));
  EXPECT_FALSE(call->Fail(Internal("too late")));
  EXPECT_EQ(client.Read()->status, 200);
}

TEST_F(ControlTest, WhatIsDroppedIsAnswered) {
  Client client = Connect();
  ASSERT_TRUE(client.Send(Post("/v2/repository/models/m/load")));
  control_.Take().reset();
  const auto reply = client.Read();
  EXPECT_EQ(reply->status, 500);
  EXPECT_EQ(reply->body, R"({"error":"the control plane has dropped the request"})");
}

TEST_F(ControlTest, AClientThatHasGoneIsNoReasonNotToAnswer) {
  {
    Client client = Connect();
    ASSERT_TRUE(client.Send(Post("/v2/repository/models/m/load")));
  }
  const std::shared_ptr<ControlCall> call = control_.Take();
  while (server_->connections() > 0) std::this_thread::yield();
  EXPECT_TRUE(call->Answer(""));
  EXPECT_EQ(Connect().Ask("GET /v2/health/live HTTP/1.1\r\n\r\n")->status, 200);
}

TEST_F(ControlTest, AnAnswerAfterTheServersEndIsDropped) {
  Client client = Connect();
  ASSERT_TRUE(client.Send(Post("/v2/repository/models/m/load")));
  const std::shared_ptr<ControlCall> call = control_.Take();
  server_->Close(TimePoint::min());
  EXPECT_TRUE(call->Answer(""));
  EXPECT_FALSE(client.Read());
}

TEST_F(ControlTest, TooManyThatWaitAreRefused) {
  std::vector<Client> clients;
  for (size_t i = 0; i < ControlQueue::kMaxWaiting; ++i) {
    clients.push_back(Connect());
    ASSERT_TRUE(clients.back().Send(Post("/v2/repository/models/m/load")));
  }
  // They come on one loop, so that this is the last one.
  const auto refused = Connect().Ask(Post("/v2/repository/models/m/load"));
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->body,
            R"({"error":"too many requests to the control plane wait; try again later"})");
  control_.Close();
  for (Client& client : clients) {
    const auto closed = client.Read();
    EXPECT_EQ(closed->status, 503);
    EXPECT_EQ(closed->body, R"({"error":"the server is shutting down"})");
  }
  EXPECT_EQ(control_.Take(), nullptr);
  EXPECT_EQ(Connect().Ask(Post("/v2/repository/models/m/load"))->status, 503);
}

TEST_F(ControlTest, RepositoriesHaveNoNames) {
  for (const std::string_view path : {"/v2/repository/r/index", "/v2/repository/r/models/m/load",
                                      "/v2/repository/r/models/m/unload"}) {
    const auto reply = Connect().Ask(Post(path));
    EXPECT_EQ(reply->status, 501);
    EXPECT_EQ(reply->body, R"({"error":"'repository_name' specification is not supported"})");
  }
}

TEST_F(ControlTest, TheIndexIsAnsweredWithoutTheControlPlane) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->index = {{.name = "a", .version = 1, .state = "READY"},
                     {.name = "b", .state = "UNAVAILABLE", .reason = "bad"}};
  snapshot_.Publish(snapshot);
  Client client = Connect();
  const std::string a = R"({"name":"a","version":"1","state":"READY"})";
  const std::string b = R"({"name":"b","state":"UNAVAILABLE","reason":"bad"})";
  EXPECT_EQ(client.Ask(Post("/v2/repository/index"))->body, Concat('[', a, ',', b, ']'));
  EXPECT_EQ(client.Ask(Post("/v2/repository/index", "{}"))->body, Concat('[', a, ',', b, ']'));
  EXPECT_EQ(client.Ask(Post("/v2/repository/index", R"({"ready":true})"))->body,
            Concat('[', a, ']'));
  const auto wrong = client.Ask(Post("/v2/repository/index", R"({"ready":1})"));
  EXPECT_EQ(wrong->status, 400);
  EXPECT_EQ(
      wrong->body,
      R"({"error":"Unable to parse 'ready': attempt to access JSON non-boolean as boolean"})");
  EXPECT_EQ(client.Ask(Post("/v2/repository/index", "["))->status, 400);
}

}  // namespace
}  // namespace despina::http
