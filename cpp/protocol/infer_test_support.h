// What the tests of inference requests share.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/text.h"
#include "protocol/infer_json.h"
#include "protocol/test_support.h"

namespace despina::protocol {

// The code and the start of the text that a request is refused with.
struct Refusal {
  std::string json;
  std::string text;
  Code code = Code::kInvalidArgument;
};

class InferTest : public ::testing::Test {
 protected:
  Result<InferRequest> Parse(std::string_view json, TestModel& model,
                             std::string_view tensors = "") {
    std::optional<uint64_t> json_size;
    if (!tensors.empty()) json_size = json.size();
    return ParseInfer(model.Enter(), BodyOf(json, tensors), json_size, regions_, allocator_);
  }

  void ExpectRefused(const Refusal& refusal, TestModel& model, std::string_view tensors = "") {
    SCOPED_TRACE(refusal.json.substr(0, 200));
    const Result<InferRequest> result = Parse(refusal.json, model, tensors);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), refusal.code) << result.status().message();
    EXPECT_EQ(result.status().message().substr(0, refusal.text.size()), refusal.text);
    EXPECT_EQ(model.gate().inside(), 0U);
  }

  SharedRegions regions_;
  CountingAllocator allocator_;
};

// A request with one input of that datatype, shape and data.
inline std::string OneInput(std::string_view datatype, std::string_view shape,
                            std::string_view data) {
  return Concat(R"({"inputs":[{"name":"IN0","datatype":")", datatype, R"(","shape":)", shape,
                R"(,"data":)", data, "}]}");
}

}  // namespace despina::protocol
