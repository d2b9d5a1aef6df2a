#include "protocol/shared_memory_proto.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "memory/testing/shared_object.h"
#include "protocol/proto_test_support.h"
#include "protocol/shared_memory.h"

namespace despina::protocol {
namespace {

using Place = SharedRegion::Place;

TEST(SharedMemoryProtoTest, ReadsTheNameOfARegion) {
  EXPECT_EQ(*ParseRegionName("SystemSharedMemoryStatusRequest", {}), "");
  // Of one of CUDA, with its handle.
  const std::string bytes = BytesField(1, "r") + BytesField(2, "\xFF\xFF") + NumberField(3, 1);
  EXPECT_EQ(*ParseRegionName("CudaSharedMemoryRegisterRequest", bytes), "r");
}

TEST(SharedMemoryProtoTest, ReadsAPlace) {
  const std::string bytes = BytesField(1, "r") + BytesField(2, "/k") + NumberField(3, 8) +
                            NumberField(4, std::numeric_limits<uint64_t>::max());
  const auto place = ParseSystemRegion(bytes);
  ASSERT_TRUE(place.ok());
  EXPECT_EQ(place->name, "r");
  EXPECT_EQ(place->key, "/k");
  EXPECT_EQ(place->offset, 8U);
  EXPECT_EQ(place->size, std::numeric_limits<uint64_t>::max());
}

TEST(SharedMemoryProtoTest, RefusesWhatIsNoMessage) {
  for (const std::string_view bytes : {"\x0A\x05m", "\x0A\x01\xFF", "\x20", "\x12\x01\xFF"}) {
    const Status status = ParseSystemRegion(bytes).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_EQ(status.message().find("failed to parse SystemSharedMemoryRegisterRequest: "), 0U)
        << status.message();
  }
  const Status status = ParseRegionName("CudaSharedMemoryStatusRequest", "\x0A\x05m").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.message().find("failed to parse CudaSharedMemoryStatusRequest: "), 0U);
}

TEST(SharedMemoryProtoTest, ARegionNeedsAName) {
  const Status status = ParseSystemRegion(BytesField(2, "/k")).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.message(), "a shared memory region needs a name");
}

TEST(SharedMemoryProtoTest, MapsNamesToPlaces) {
  const std::vector<Place> places = {{.name = "r", .key = "/k", .offset = 8, .size = 64},
                                     {.name = "s", .key = "/l", .offset = 0, .size = 1}};
  const auto entry = [](const std::string& name, const std::string& rest) {
    return BytesField(1, BytesField(1, name) + BytesField(2, BytesField(1, name) + rest));
  };
  EXPECT_EQ(SystemSharedMemoryStatusProto(places),
            entry("r", BytesField(2, "/k") + NumberField(3, 8) + NumberField(4, 64)) +
                entry("s", BytesField(2, "/l") + NumberField(4, 1)));
  EXPECT_EQ(SystemSharedMemoryStatusProto({}), "");
}

TEST(SharedMemoryTest, IsToldOfOneRegionOrOfAll) {
  const despina::testing::SharedObject object(64);
  SharedRegions regions;
  for (const std::string name : {"a", "b"}) {
    ASSERT_TRUE(regions.Register({.name = name, .key = object.key(), .offset = 0, .size = 8}).ok());
  }
  EXPECT_EQ(SystemRegions(regions, "")->size(), 2U);
  const auto one = SystemRegions(regions, "b");
  ASSERT_EQ(one->size(), 1U);
  EXPECT_EQ(one->front().name, "b");
  const Status status = SystemRegions(regions, "c").status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.message(), "Unable to find system shared memory region: 'c'");
}

TEST(SharedMemoryTest, OfGpusThereIsNone) {
  EXPECT_TRUE(CudaRegions("").ok());
  EXPECT_EQ(CudaRegions("g").code(), Code::kNotFound);
  EXPECT_EQ(CudaRegions("g").message(), "Unable to find cuda shared memory region: 'g'");
  EXPECT_EQ(RegisterCudaRegion("g").code(), Code::kUnimplemented);
  EXPECT_EQ(RegisterCudaRegion("g").message(),
            "failed to register CUDA shared memory region: 'g', GPUs not supported");
}

}  // namespace
}  // namespace despina::protocol
