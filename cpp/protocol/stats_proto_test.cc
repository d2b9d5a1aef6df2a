#include "protocol/stats_proto.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "protocol/proto_test_support.h"
#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

// A duration that is like no other.
DurationCount Duration(uint64_t count) { return {.count = count, .nanoseconds = count + 100}; }

std::string DurationField(uint32_t number, uint64_t count) {
  return BytesField(number, NumberField(1, count) + NumberField(2, count + 100));
}

std::string NoDurations(uint32_t first, uint32_t last) {
  std::string out;
  for (uint32_t number = first; number <= last; ++number) out += BytesField(number, "");
  return out;
}

TEST(StatsProtoTest, IsAnEmptyMessageWithoutModels) { EXPECT_EQ(StatisticsProto({}), ""); }

TEST(StatsProtoTest, HasEveryDurationOfAModelThatHasDoneNothing) {
  const std::vector<NamedCounts> models = {{.model = "a", .version = 2, .counts = {}}};
  EXPECT_EQ(StatisticsProto(models), BytesField(1, BytesField(1, "a") + BytesField(2, "2") +
                                                       BytesField(6, NoDurations(1, 8))));
}

TEST(StatsProtoTest, HasAllCountsOfAModel) {
  ModelCounts counts;
  counts.success = Duration(1);
  counts.fail = Duration(2);
  counts.queue = Duration(3);
  counts.compute_input = Duration(4);
  counts.compute_infer = Duration(5);
  counts.compute_output = Duration(6);
  counts.inference_count = 300;
  counts.execution_count = 4;
  counts.last_inference_ms = 1'700'000'000'000;
  counts.batches[8] = {
      .compute_input = Duration(7), .compute_infer = Duration(8), .compute_output = Duration(9)};
  counts.responses = {{.compute_infer = Duration(10),
                       .compute_output = Duration(11),
                       .success = Duration(12),
                       .fail = Duration(13),
                       .empty = Duration(14),
                       .cancel = {}},
                      {}};
  const std::vector<NamedCounts> models = {{.model = "m", .version = 1, .counts = counts}};

  std::string infer;
  for (uint32_t number = 1; number <= 6; ++number) infer += DurationField(number, number);
  std::string response;
  for (uint32_t number = 1; number <= 5; ++number) response += DurationField(number, number + 9);
  const std::string expected =
      BytesField(1, "m") + BytesField(2, "1") + NumberField(3, 1'700'000'000'000) +
      NumberField(4, 300) + NumberField(5, 4) + BytesField(6, infer + NoDurations(7, 8)) +
      BytesField(
          7, NumberField(1, 8) + DurationField(2, 7) + DurationField(3, 8) + DurationField(4, 9)) +
      BytesField(9, BytesField(1, "0") + BytesField(2, response + NoDurations(6, 6))) +
      BytesField(9, BytesField(1, "1") + BytesField(2, NoDurations(1, 6)));
  EXPECT_EQ(StatisticsProto(models), BytesField(1, expected));
}

class StatisticsTest : public ::testing::Test {
 protected:
  StatisticsTest() {
    Serve("m", 1);
    Serve("m", 3);
    Serve("n", 1);
    snapshot_.models["down"];
  }

  void Serve(const std::string& name, int64_t version) {
    ModelDefinition definition = DefinitionOf({}, {});
    definition.name = name;
    definition.version = version;
    const auto model = std::make_shared<TestModel>(std::move(definition));
    snapshot_.serving.push_back(model);
    snapshot_.models[name].versions[version] = model;
  }

  static std::string Names(const std::vector<NamedCounts>& counts) {
    std::string out;
    for (const NamedCounts& each : counts) out += Concat(each.model, each.version, ' ');
    return out;
  }

  Snapshot snapshot_;
};

TEST_F(StatisticsTest, AreOfAllModelsOrOfOneOrOfOneVersion) {
  EXPECT_EQ(Names(AllStatistics(snapshot_)), "m1 m3 n1 ");
  EXPECT_EQ(Names(*ModelStatistics(snapshot_, "m", std::nullopt)), "m1 m3 ");
  EXPECT_EQ(Names(*ModelStatistics(snapshot_, "m", 3)), "m3 ");
}

TEST_F(StatisticsTest, OfWhatTakesNoRequestsThereAreNone) {
  for (const std::string name : {"x", "down"}) {
    const Status status = ModelStatistics(snapshot_, name, std::nullopt).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_EQ(status.message(), "requested model '" + name + "' is not available");
  }
  const Status status = ModelStatistics(snapshot_, "m", 2).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.message(), "requested model version is not available for model 'm'");
}

}  // namespace
}  // namespace despina::protocol
