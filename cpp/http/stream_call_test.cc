#include "http/stream_call.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <thread>

#include "base/text.h"
#include "frontend/testing/fake_model.h"
#include "http/testing/server_fixture.h"

namespace despina::http {
namespace {

using frontend::testing::FakeModel;
using testing::Client;
using Answers = FakeModel::Answers;

std::string PostToModel(std::string_view path, std::string_view body,
                        std::string_view fields = "") {
  return testing::Post(Concat("/v2/models/", path), body, fields);
}

constexpr std::string_view kInput = R"({"INPUT0":[1],"id":"i"})";
constexpr std::string_view kEvents = "Accept: text/html, text/event-stream;q=0.9\r\n";
constexpr std::string_view kInferBody =
    R"({"id":"i","inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1],"data":[1]}]})";

class StreamCallTest : public ::testing::Test {
 protected:
  StreamCallTest() {
    Options options;
    options.port = 0;
    server_ = *Serve(options, snapshot_, control_, regions_, pool_, Clock::System());
  }
  ~StreamCallTest() override {
    server_.reset();
    model_->End();
  }
  // Begins a request to the model that answers in parts.
  Client Begin(std::string_view verb, std::string_view body = kInput,
               std::string_view fields = "") {
    Client client(server_->port());
    EXPECT_TRUE(client.Send(PostToModel(Concat("parts/", verb), body, fields)));
    model_->WaitForArrivals(++begun_);
    return client;
  }
  static std::string Flat(std::string_view value) {
    return Concat(R"({"OUTPUT0":)", value,
                  R"(,"id":"i","model_name":"parts","model_version":"1"})");
  }

  BufferPool pool_;
  frontend::ControlQueue control_;
  SharedRegions regions_;
  std::shared_ptr<FakeModel> model_ =
      std::make_shared<FakeModel>("parts", Answers::kOnlyWhenReleased, /*decoupled=*/true);
  std::shared_ptr<FakeModel> whole_ = std::make_shared<FakeModel>("whole", Answers::kOnItsThread);
  Published<Snapshot> snapshot_{frontend::testing::SnapshotOf({model_, whole_})};
  std::unique_ptr<net::Server> server_;
  size_t begun_ = 0;
  size_t cancelled_ = 0;
};

TEST_F(StreamCallTest, SendsAnEventForEachResponse) {
  Client client = Begin("generate_stream");
  model_->SendPart(1.5);
  const auto head = client.Read();
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->fields.at("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_EQ(client.ReadChunk(), Concat("data: ", Flat("1.5"), "\n\n"));
  model_->SendPart(2);
  EXPECT_EQ(client.ReadChunk(), Concat("data: ", Flat("2.0"), "\n\n"));
  model_->End();
  EXPECT_EQ(client.ReadChunk(), "");
  EXPECT_EQ(client.Ask("GET /v2/health/live HTTP/1.1\r\n\r\n")->status, 200);
}

TEST_F(StreamCallTest, NoResponseIsAnEmptyStream) {
  Client client = Begin("generate_stream");
  model_->End();
  EXPECT_EQ(client.Read()->status, 200);
  EXPECT_EQ(client.ReadChunk(), "");
}

TEST_F(StreamCallTest, AnErrorThatComesFirstDecidesOnTheStatus) {
  Client client = Begin("generate_stream");
  model_->End(NotFound("no such prompt"));
  EXPECT_EQ(client.Read()->status, 404);
  EXPECT_EQ(client.ReadChunk(), "data: {\"error\":\"no such prompt\"}\n\n");
  EXPECT_EQ(client.ReadChunk(), "");
}

TEST_F(StreamCallTest, AnErrorThatComesLaterIsAnEvent) {
  Client client = Begin("generate_stream");
  model_->SendPart(1);
  EXPECT_EQ(client.Read()->status, 200);
  client.ReadChunk();
  model_->End(Internal("out of words"));
  EXPECT_EQ(client.ReadChunk(), "data: {\"error\":\"out of words\"}\n\n");
  EXPECT_EQ(client.ReadChunk(), "");
}

TEST_F(StreamCallTest, GenerateGivesTheOneResponse) {
  Client client = Begin("generate");
  model_->SendPart(3);
  model_->End();
  const auto reply = client.Read();
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->fields.at("content-type"), "application/json");
  EXPECT_EQ(reply->body, Flat("3.0"));
}

TEST_F(StreamCallTest, GenerateRefusesAnyOtherNumberOfResponses) {
  for (const int responses : {0, 2}) {
    Client client = Begin("generate");
    for (int i = 0; i < responses; ++i) model_->SendPart(1);
    model_->End();
    const auto reply = client.Read();
    EXPECT_EQ(reply->status, 400);
    EXPECT_EQ(reply->body,
              R"({"error":"generate expects model to produce exactly 1 response, use generate )"
              R"(stream for model that generates various number of responses"})");
  }
}

TEST_F(StreamCallTest, GenerateGivesTheErrorOfTheModel) {
  Client client = Begin("generate");
  model_->SendPart(1);
  model_->End(Unavailable("overrun"));
  const auto reply = client.Read();
  EXPECT_EQ(reply->status, 503);
  EXPECT_EQ(reply->body, R"({"error":"overrun"})");
}

TEST_F(StreamCallTest, ModelsThatAnswerOnceCanBeAskedTheSameWay) {
  Client client(server_->port());
  const std::string flat = R"({"OUTPUT0":1.0,"id":"i","model_name":"whole","model_version":"1"})";
  EXPECT_EQ(client.Ask(PostToModel("whole/generate", kInput))->body, flat);
  EXPECT_EQ(client.Ask(PostToModel("whole/versions/1/generate_stream", kInput))->status, 200);
  EXPECT_EQ(client.ReadChunk(), Concat("data: ", flat, "\n\n"));
  EXPECT_EQ(client.ReadChunk(), "");
  EXPECT_EQ(client.Ask(PostToModel("whole/infer", kInferBody, kEvents))->status, 200);
  EXPECT_EQ(client.ReadChunk(),
            "data: {\"id\":\"i\",\"model_name\":\"whole\",\"model_version\":\"1\",\"outputs\":"
            "[{\"name\":\"OUTPUT0\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1.0]}]}\n\n");
  EXPECT_EQ(client.ReadChunk(), "");
}

TEST_F(StreamCallTest, InferSendsEventsToWhoAcceptsThem) {
  Client client = Begin("infer", kInferBody, kEvents);
  model_->SendPart(4);
  EXPECT_EQ(client.Read()->status, 200);
  EXPECT_EQ(client.ReadChunk(),
            "data: {\"id\":\"i\",\"model_name\":\"parts\",\"model_version\":\"1\",\"outputs\":"
            "[{\"name\":\"OUTPUT0\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[4.0]}]}\n\n");
  model_->End();
  EXPECT_EQ(client.ReadChunk(), "");
}

TEST_F(StreamCallTest, EventsCannotBeBinary) {
  Client client(server_->port());
  const std::string binary =
      R"({"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1],"data":[1]}],)"
      R"("parameters":{"binary_data_output":true}})";
  const auto reply = client.Ask(PostToModel("parts/infer", binary, kEvents));
  EXPECT_EQ(reply->status, 400);
  EXPECT_EQ(reply->body,
            R"({"error":"events hold JSON: outputs can neither be binary nor in shared memory"})");
}

TEST_F(StreamCallTest, WithoutThatInferRefusesAModelThatAnswersInParts) {
  const auto reply = Client(server_->port()).Ask(PostToModel("parts/infer", kInferBody));
  EXPECT_EQ(reply->status, 501);
}

TEST_F(StreamCallTest, WhatIsWrongWithARequestIsToldAsJson) {
  Client client(server_->port());
  const auto wrong = client.Ask(PostToModel("parts/generate_stream", R"({"INPUT0":"x"})"));
  EXPECT_EQ(wrong->status, 400);
  EXPECT_EQ(wrong->fields.at("content-type"), "application/json");
  EXPECT_EQ(client.Ask(PostToModel("parts/generate", "{}"))->status, 400);
  EXPECT_EQ(client.Ask(PostToModel("nobody/generate", kInput))->status, 404);
  EXPECT_EQ(client.Ask(PostToModel("parts/versions/9/generate_stream", kInput))->status, 404);
}

TEST_F(StreamCallTest, AClientThatGoesCancelsItsRequest) {
  for (const std::string_view verb : {"generate_stream", "generate"}) {
    {
      Client client = Begin(verb);
      model_->SendPart(1);
      if (verb == "generate_stream") client.Read();
    }
    model_->WaitForCancellations(++cancelled_);
    model_->SendPart(2);
    model_->End();
  }
  while (server_->bytes_in_flight() > 0) std::this_thread::yield();
}

TEST_F(StreamCallTest, PartsAfterTheServersEndAreDropped) {
  Client client = Begin("generate_stream");
  model_->SendPart(1);
  client.Read();
  EXPECT_FALSE(server_->Close(TimePoint::min()));
  model_->SendPart(2);
  model_->End();
}

}  // namespace
}  // namespace despina::http
