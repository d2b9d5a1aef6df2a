#include "http/shared_memory.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "base/text.h"
#include "frontend/testing/fake_model.h"
#include "http/server.h"
#include "http/testing/client.h"
#include "memory/pool.h"
#include "memory/testing/shared_object.h"
#include "protocol/shared_memory.h"

namespace despina::http {
namespace {

using frontend::testing::FakeModel;
using testing::Client;
using testing::Reply;
using Answers = FakeModel::Answers;

class SharedMemoryTest : public ::testing::Test {
 protected:
  SharedMemoryTest() { Start(true); }
  ~SharedMemoryTest() override {
    server_.reset();
    held_->Release();
  }

  void Start(bool allowed, uint64_t max_bytes_in_flight = 1 << 20) {
    Options options;
    options.port = 0;
    options.allow_shared_memory = allowed;
    options.max_bytes_in_flight = max_bytes_in_flight;
    server_ = *Serve(options, snapshot_, control_, regions_, pool_, Clock::System());
  }
  Reply Get(std::string_view path) {
    return *Client(server_->port())
                .Ask(Concat("GET /v2/systemsharedmemory/", path, " HTTP/1.1\r\n\r\n"));
  }
  static std::string PostTo(std::string_view path, std::string_view body = "") {
    return Concat("POST /v2/", path, " HTTP/1.1\r\nContent-Length: ", body.size(), "\r\n\r\n",
                  body);
  }
  Reply Post(std::string_view path, std::string_view body = "") {
    return *Client(server_->port()).Ask(PostTo(Concat("systemsharedmemory/", path), body));
  }
  Reply Register(std::string_view name, uint64_t offset, uint64_t size) {
    return Post(Concat("region/", name, "/register"),
                Concat(R"({"key":")", object_.key(), R"(","offset":)", offset, R"(,"byte_size":)",
                       size, "}"));
  }
  // Two floats from the region's begin, which come back at its byte 8.
  static std::string InferShared(std::string_view region) {
    return Concat(R"({"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[2],"parameters":)",
                  R"({"shared_memory_region":")", region, R"(","shared_memory_byte_size":8}}],)",
                  R"("outputs":[{"name":"OUTPUT0","parameters":{"shared_memory_region":")", region,
                  R"(","shared_memory_offset":8,"shared_memory_byte_size":8}}]})");
  }

  despina::testing::SharedObject object_{64};
  BufferPool pool_;
  frontend::ControlQueue control_;
  SharedRegions regions_;
  std::shared_ptr<FakeModel> now_ = std::make_shared<FakeModel>("now", Answers::kAtOnce);
  std::shared_ptr<FakeModel> held_ = std::make_shared<FakeModel>("held", Answers::kWhenReleased);
  Published<Snapshot> snapshot_{frontend::testing::SnapshotOf({now_, held_})};
  std::unique_ptr<net::Server> server_;
};

TEST_F(SharedMemoryTest, ARegionIsRegisteredListedAndTakenBack) {
  EXPECT_EQ(Get("status").body, "[]");
  const Reply registered = Register("my%20r", 4, 32);
  EXPECT_EQ(registered.status, 200) << registered.body;
  EXPECT_EQ(registered.body, "");
  const std::string row =
      Concat(R"([{"name":"my r","key":")", object_.key(), R"(","offset":4,"byte_size":32}])");
  EXPECT_EQ(Get("status").body, row);
  EXPECT_EQ(Get("region/my%20r/status").body, row);
  EXPECT_EQ(Post("region/my%20r/unregister").status, 200);
  EXPECT_EQ(Get("region/my%20r/status").status, 404);
  EXPECT_EQ(Get("region/r/status").body,
            R"({"error":"Unable to find system shared memory region: 'r'"})");
  EXPECT_EQ(Post("region/r/unregister").status, 200) << "what is not there is unregistered";
}

TEST_F(SharedMemoryTest, SaysWhatARegistrationLacks) {
  const auto expect = [this](std::string_view body, int status, std::string_view text) {
    const Reply reply = Post("region/r/register", body);
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_EQ(reply.body.substr(0, text.size() + 10), Concat(R"({"error":")", text));
  };
  expect(R"({"byte_size":1})", 400, "Shared memory register request has no 'key' field");
  expect(R"({"key":"/k"})", 400, "Shared memory register request has no 'byte_size' field");
  expect(R"({"key":7,"byte_size":1})", 400, "Unable to parse 'key'");
  expect(R"({"key":"/k","byte_size":-1})", 400, "Unable to parse 'byte_size'");
  expect(R"({"key":"/k","byte_size":1,"offset":"x"})", 400, "Unable to parse 'offset'");
  expect(R"({"key":"/no_such_despina","byte_size":1})", 400,
         "Unable to open shared memory region: '/no_such_despina'");
  expect("[]", 400, "failed to parse the request JSON buffer");
  expect("", 400, "failed to parse the request JSON buffer");
  EXPECT_EQ(Register("r", 0, 65).status, 400);
  EXPECT_EQ(Register("r", 0, 64).status, 200);
  EXPECT_EQ(Register("r", 0, 64).body,
            R"({"error":"shared memory region 'r' already in manager"})");
}

TEST_F(SharedMemoryTest, TensorsComeFromThereAndGoThere) {
  ASSERT_EQ(Register("r", 16, 32).status, 200);
  object_.Put("12345678", 16);
  const Reply reply = *Client(server_->port()).Ask(PostTo("models/now/infer", InferShared("r")));
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_NE(reply.body.find(R"("outputs":[{"name":"OUTPUT0","datatype":"FP32","shape":[2]}])"),
            std::string::npos)
      << reply.body;
  EXPECT_EQ(object_.Get(24, 8), "12345678");
}

TEST_F(SharedMemoryTest, ARegionThatHasShrunkIsAnErrorOfTheRequest) {
  ASSERT_EQ(Register("r", 0, 64).status, 200);
  object_.Resize(4);
  const Reply reply = *Client(server_->port()).Ask(PostTo("models/now/infer", InferShared("r")));
  EXPECT_EQ(reply.status, 400);
  EXPECT_NE(reply.body.find("is smaller than it was"), std::string::npos) << reply.body;
  object_.Resize(8);
  const Reply output = *Client(server_->port()).Ask(PostTo("models/now/infer", InferShared("r")));
  EXPECT_EQ(output.status, 400) << output.body;
  EXPECT_EQ(object_.size(), 8U);
}

TEST_F(SharedMemoryTest, UnregisteringIsAnsweredOnceNoRequestUsesTheRegion) {
  ASSERT_EQ(Register("r", 0, 64).status, 200);
  Client user(server_->port());
  ASSERT_TRUE(user.Send(PostTo("models/held/infer", InferShared("r"))));
  held_->WaitForArrivals(1);
  Client owner(server_->port());
  ASSERT_TRUE(owner.Send(PostTo("systemsharedmemory/unregister")));
  while (Get("status").body != "[]") std::this_thread::yield();
  held_->Release();
  EXPECT_EQ(user.Read()->status, 200);
  EXPECT_EQ(owner.Read()->status, 200);
}

TEST_F(SharedMemoryTest, WhatIsCopiedCountsAsInFlight) {
  Start(true, 4096);
  const despina::testing::SharedObject large(1 << 20, "_large");
  ASSERT_EQ(
      Post("region/r/register", Concat(R"({"key":")", large.key(), R"(","byte_size":1048576})"))
          .status,
      200);
  const std::string body =
      R"({"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[262144],"parameters":)"
      R"({"shared_memory_region":"r","shared_memory_byte_size":1048576}}]})";
  const Reply reply = *Client(server_->port()).Ask(PostTo("models/now/infer", body));
  EXPECT_EQ(reply.status, 503) << reply.body;
  while (server_->bytes_in_flight() > 0) std::this_thread::yield();
}

TEST_F(SharedMemoryTest, UnlessItIsAllowedNothingCanBeLent) {
  Start(false);
  const std::string refusal = Concat(R"({"error":")", protocol::kSharedMemoryDisabled, R"("})");
  const Reply registering = Register("r", 0, 64);
  EXPECT_EQ(registering.status, 501);
  EXPECT_EQ(registering.body, refusal);
  EXPECT_EQ(Post("region/r/unregister").body, refusal);
  EXPECT_EQ(Post("unregister").status, 501);
  EXPECT_EQ(Get("status").body, "[]");
  const Reply used = *Client(server_->port()).Ask(PostTo("models/now/infer", InferShared("r")));
  EXPECT_EQ(used.status, 404);
  EXPECT_EQ(used.body, R"({"error":"Unable to find shared memory region: 'r'"})");
}

TEST_F(SharedMemoryTest, ThereIsNoMemoryOfGpus) {
  Client client(server_->port());
  const auto ask = [&](std::string_view method, std::string_view path) {
    return *client.Ask(
        Concat(method, " /v2/cudasharedmemory/", path, " HTTP/1.1\r\nContent-Length: 0\r\n\r\n"));
  };
  EXPECT_EQ(ask("GET", "status").body, "[]");
  EXPECT_EQ(ask("GET", "region/c/status").status, 404);
  EXPECT_EQ(ask("POST", "region/c/register").status, 501);
  EXPECT_EQ(ask("POST", "region/c/unregister").status, 200);
  EXPECT_EQ(ask("POST", "unregister").status, 200);
}

}  // namespace
}  // namespace despina::http
