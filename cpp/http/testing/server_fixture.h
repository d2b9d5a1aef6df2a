// A server with models that need no engine, for tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "frontend/testing/fake_model.h"
#include "http/server.h"
#include "http/testing/client.h"
#include "memory/pool.h"

namespace despina::http::testing {

using frontend::testing::FakeModel;
using frontend::testing::SnapshotOf;

inline constexpr std::string_view kJsonBody =
    R"({"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[2],"data":[1.5,2]}]})";

inline std::string Get(std::string_view path) { return Concat("GET ", path, " HTTP/1.1\r\n\r\n"); }

inline std::string Post(std::string_view path, std::string_view body = "",
                        std::string_view fields = "") {
  return Concat("POST ", path, " HTTP/1.1\r\n", fields, "Content-Length: ", body.size(), "\r\n\r\n",
                body);
}

inline std::string Infer(std::string_view model) {
  return Post(Concat("/v2/models/", model, "/infer"), kJsonBody);
}

// A request with one binary tensor of so many floats, and a binary output.
inline std::string InferBinary(std::string_view model, size_t floats) {
  const std::string json =
      Concat(R"({"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[)", floats,
             R"(],"parameters":{"binary_data_size":)", 4 * floats,
             R"(}}],"outputs":[{"name":"OUTPUT0","parameters":{"binary_data":true}}]})");
  std::string body = json;
  for (size_t i = 0; i < floats; ++i) {
    const auto value = static_cast<float>(i);
    body.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return Post(Concat("/v2/models/", model, "/infer"), body,
              Concat("Inference-Header-Content-Length: ", json.size(), "\r\n"));
}

class ServerTest : public ::testing::Test {
 protected:
  ~ServerTest() override {
    server_.reset();
    held_->Release();
  }

  net::Server& Start(Options options = {}) {
    options.port = 0;
    Result<std::unique_ptr<net::Server>> server =
        Serve(std::move(options), snapshot_, control_, regions_, pool_, Clock::System());
    EXPECT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
    return *server_;
  }
  Client Connect() { return Client(server_->port()); }

  BufferPool pool_;
  frontend::ControlQueue control_;
  SharedRegions regions_;
  std::shared_ptr<FakeModel> now_ = std::make_shared<FakeModel>("now", FakeModel::Answers::kAtOnce);
  std::shared_ptr<FakeModel> thread_ =
      std::make_shared<FakeModel>("thread", FakeModel::Answers::kOnItsThread);
  std::shared_ptr<FakeModel> held_ =
      std::make_shared<FakeModel>("held", FakeModel::Answers::kWhenReleased);
  Published<Snapshot> snapshot_{SnapshotOf({now_, thread_, held_})};
  std::unique_ptr<net::Server> server_;
};

}  // namespace despina::http::testing
