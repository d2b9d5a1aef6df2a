#include "protocol/metadata_json.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

TEST(MetadataJsonTest, DescribesTheServer) {
  EXPECT_EQ(ServerMetadataJson("despina", "0.1.0"),
            R"({"name":"despina","version":"0.1.0","extensions":["classification",)"
            R"#("model_repository","model_repository(unload_dependents)","model_configuration",)#"
            R"("system_shared_memory","binary_tensor_data","parameters","statistics","trace",)"
            R"("logging"]})");
}

TEST(MetadataJsonTest, ShowsTheBatchAxisOfAModelThatHasOne) {
  ModelDefinition model = DefinitionOf(
      {TensorOf("IN\"0", DataType::kFp32, {3, -1}), TensorOf("IN1", DataType::kBytes, {})},
      {TensorOf("OUT0", DataType::kBf16, {1})}, 8);
  model.platform = "identity";
  EXPECT_EQ(ModelMetadataJson(model, std::vector<int64_t>{1, 3}),
            R"({"name":"m","versions":["1","3"],"platform":"identity","inputs":[)"
            R"({"name":"IN\"0","datatype":"FP32","shape":[-1,3,-1]},)"
            R"({"name":"IN1","datatype":"BYTES","shape":[-1]}],"outputs":[)"
            R"({"name":"OUT0","datatype":"BF16","shape":[-1,1]}]})");
}

TEST(MetadataJsonTest, ShowsDimsAloneOtherwise) {
  const ModelDefinition model = DefinitionOf({TensorOf("IN0", DataType::kInt8, {2})}, {});
  EXPECT_EQ(ModelMetadataJson(model, {}),
            R"({"name":"m","versions":[],"platform":"","inputs":[)"
            R"({"name":"IN0","datatype":"INT8","shape":[2]}],"outputs":[]})");
}

TEST(RepositoryIndexJson, LeavesOutWhatARowDoesNotHave) {
  const std::vector<IndexRow> rows = {
      {.name = "a\"b", .version = 3, .state = "READY", .reason = ""},
      {.name = "lost", .version = std::nullopt, .state = "UNAVAILABLE", .reason = "no file"},
      {.name = "m", .version = 1, .state = "UNAVAILABLE", .reason = "unloaded"},
      {.name = "never"}};
  EXPECT_EQ(RepositoryIndexJson(rows, false),
            R"([{"name":"a\"b","version":"3","state":"READY"},)"
            R"({"name":"lost","state":"UNAVAILABLE","reason":"no file"},)"
            R"({"name":"m","version":"1","state":"UNAVAILABLE","reason":"unloaded"},)"
            R"({"name":"never"}])");
  EXPECT_EQ(RepositoryIndexJson(rows, true), R"([{"name":"a\"b","version":"3","state":"READY"}])");
  EXPECT_EQ(RepositoryIndexJson({}, false), "[]");
}

}  // namespace
}  // namespace despina::protocol
