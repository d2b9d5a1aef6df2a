#include "protocol/metadata_proto.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/metadata.h"
#include "protocol/model_target.h"
#include "protocol/proto_test_support.h"
#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

TEST(MetadataProtoTest, DescribesTheServer) {
  std::string expected = BytesField(1, "despina") + BytesField(2, "0.1.0");
  for (const std::string_view extension : kServerExtensions) expected += BytesField(3, extension);
  EXPECT_EQ(ServerMetadataProto("despina", "0.1.0"), expected);
}

TEST(MetadataProtoTest, ShowsTheBatchAxisOfAModelThatHasOne) {
  ModelDefinition model = DefinitionOf(
      {TensorOf("IN0", DataType::kFp32, {3, -1}), TensorOf("IN1", DataType::kBytes, {})},
      {TensorOf("OUT0", DataType::kBf16, {1})}, 8);
  model.platform = "identity";
  // As Google's library writes it.
  constexpr std::string_view kExpected =
      "\x0A\x01m\x12\x01"
      "1\x12\x01"
      "3\x1A\x08identity\"\"\x0A\x03IN0\x12\x04"
      "FP32\x1A\x15\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x03\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
      "\x01\"\x18\x0A\x03IN1\x12\x05"
      "BYTES\x1A\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01*\x19\x0A\x04OUT0\x12\x04"
      "BF16\x1A\x0B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x01";
  EXPECT_EQ(ModelMetadataProto(model, std::vector<int64_t>{1, 3}), kExpected);
}

TEST(MetadataProtoTest, ShowsDimsAloneOtherwise) {
  const ModelDefinition model =
      DefinitionOf({TensorOf("IN0", DataType::kInt8, {2}), TensorOf("S", DataType::kBool, {})}, {});
  EXPECT_EQ(
      ModelMetadataProto(model, {}),
      BytesField(1, "m") +
          BytesField(4, BytesField(1, "IN0") + BytesField(2, "INT8") + BytesField(3, VarintOf(2))) +
          BytesField(4, BytesField(1, "S") + BytesField(2, "BOOL")));
}

TEST(MetadataProtoTest, WrapsTheConfiguration) {
  ModelDefinition model = DefinitionOf({}, {});
  model.config_proto = BytesField(1, "m");
  EXPECT_EQ(ModelConfigProto(model), BytesField(1, BytesField(1, "m")));
}

TEST(MetadataProtoTest, LeavesOutWhatARowOfTheIndexDoesNotHave) {
  const std::vector<IndexRow> rows = {
      {.name = "a", .version = 3, .state = "READY", .reason = ""},
      {.name = "lost", .version = std::nullopt, .state = "UNAVAILABLE", .reason = "no file"},
      {.name = "never"}};
  const std::string ready =
      BytesField(1, BytesField(1, "a") + BytesField(2, "3") + BytesField(3, "READY"));
  EXPECT_EQ(RepositoryIndexProto(rows, true), ready);
  EXPECT_EQ(RepositoryIndexProto(rows, false),
            ready +
                BytesField(1, BytesField(1, "lost") + BytesField(3, "UNAVAILABLE") +
                                  BytesField(4, "no file")) +
                BytesField(1, BytesField(1, "never")));
  EXPECT_EQ(RepositoryIndexProto({}, false), "");
}

TEST(MetadataProtoTest, ListsTheVersionThatWasAskedForOrAll) {
  Snapshot snapshot;
  snapshot.models["m"].versions = {{3, nullptr}, {1, nullptr}};
  EXPECT_EQ(ListedVersions(snapshot, "m", std::nullopt), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(ListedVersions(snapshot, "m", 3), (std::vector<int64_t>{3}));
}

}  // namespace
}  // namespace despina::protocol
