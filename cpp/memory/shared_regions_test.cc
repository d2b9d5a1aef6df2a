#include "memory/shared_regions.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/text.h"
#include "memory/testing/shared_object.h"

namespace despina {
namespace {

size_t Descriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

class SharedRegionsTest : public ::testing::Test {
 protected:
  Status Register(std::string name, uint64_t offset, uint64_t size) {
    return regions_.Register({std::move(name), object_.key(), offset, size});
  }
  static std::string ReadText(const SharedRegion& region, uint64_t offset, size_t size) {
    std::string text(size, '\0');
    const Status status = region.Read(offset, std::as_writable_bytes(std::span(text)));
    return status.ok() ? text : status.message();
  }
  static std::string WriteText(const SharedRegion& region, uint64_t offset, std::string_view text) {
    return region.Write(offset, std::as_bytes(std::span(text))).message();
  }

  testing::SharedObject object_{100};
  SharedRegions regions_;
};

TEST_F(SharedRegionsTest, ReadsAndWritesAPartOfAnObject) {
  object_.Put("0123456789", 20);
  ASSERT_TRUE(Register("r", 20, 10).ok());
  const auto region = *regions_.Find("r");
  EXPECT_EQ(ReadText(*region, 2, 3), "234");
  EXPECT_EQ(ReadText(*region, 0, 10), "0123456789");
  EXPECT_EQ(ReadText(*region, 10, 0), "");
  EXPECT_EQ(WriteText(*region, 8, "xy"), "");
  EXPECT_EQ(object_.Get(20, 10), "01234567xy");
}

TEST_F(SharedRegionsTest, NothingBesideTheRegionIsTouched) {
  ASSERT_TRUE(Register("r", 20, 10).ok());
  const auto region = *regions_.Find("r");
  const std::string beyond = "Invalid offset + byte size for shared memory region: 'r'";
  EXPECT_EQ(ReadText(*region, 8, 3), beyond);
  EXPECT_EQ(WriteText(*region, 10, "x"), beyond);
  EXPECT_EQ(region->Check(1, UINT64_MAX).message(), beyond);
  EXPECT_EQ(region->Check(11, 0).message(), "Invalid offset for shared memory region: 'r'");
  EXPECT_EQ(region->Check(UINT64_MAX, UINT64_MAX).code(), Code::kInvalidArgument);
  EXPECT_EQ(object_.Get(30, 1), std::string(1, '\0'));
}

TEST_F(SharedRegionsTest, APlaceThatIsNotThereIsRefused) {
  const size_t before = Descriptors();
  const std::string invalid = "failed to register shared memory region 'r': invalid args";
  EXPECT_EQ(Register("r", 0, 101).message(), invalid);
  EXPECT_EQ(Register("r", 101, 0).message(), invalid);
  EXPECT_EQ(Register("r", 1, UINT64_MAX).message(), invalid);
  EXPECT_EQ(Register("r", UINT64_MAX, 2).message(), invalid);
  EXPECT_EQ(Register("r", uint64_t{1} << 63, 1).message(), invalid);
  EXPECT_TRUE(Register("r", 100, 0).ok());
  EXPECT_EQ(Descriptors(), before + 1) << "refusals leave no descriptors";
}

TEST_F(SharedRegionsTest, AKeyThatIsNoObjectIsRefused) {
  const auto refusal = [this](std::string key) {
    const Status status = regions_.Register({"r", std::move(key), 0, 1});
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    return status.message();
  };
  for (const std::string key : {"", "/", "//", "///"}) {
    EXPECT_EQ(refusal(key), "shared memory region 'r' has no key") << key;
  }
  EXPECT_EQ(refusal(std::string("/a\0b", 4)), "shared memory region 'r' has no key");
  for (const std::string key :
       {"/not_there_despina", "/../../etc/passwd", "../etc/passwd", "/a/b", ".", "..", "/."}) {
    EXPECT_EQ(refusal(key), Concat("Unable to open shared memory region: '", key, "'"));
  }
  EXPECT_NE(refusal(std::string(5000, 'k')), "");
}

TEST_F(SharedRegionsTest, APipeInItsPlaceIsNotWaitedFor) {
  const std::string name = Concat("despina_test_pipe_", getpid());
  const std::string path = "/dev/shm/" + name;
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const Status status = regions_.Register({"r", "/" + name, 0, 0});
  ::unlink(path.c_str());
  EXPECT_EQ(status.message(), "failed to register shared memory region 'r': invalid args");
}

TEST_F(SharedRegionsTest, ALinkInItsPlaceIsNotFollowed) {
  const std::string name = Concat("despina_test_link_", getpid());
  const std::string path = "/dev/shm/" + name;
  ASSERT_EQ(::symlink("/dev/null", path.c_str()), 0);
  const Status status = regions_.Register({"r", "/" + name, 0, 0});
  ::unlink(path.c_str());
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
}

// With a mapping this would be SIGBUS.
TEST_F(SharedRegionsTest, ARegionThatHasShrunkIsAnError) {
  ASSERT_TRUE(Register("r", 20, 80).ok());
  const auto region = *regions_.Find("r");
  object_.Resize(50);
  EXPECT_EQ(ReadText(*region, 0, 30).size(), 30U);
  const std::string gone = "shared memory region 'r' is smaller than it was when it was registered";
  EXPECT_EQ(ReadText(*region, 0, 31), gone);
  EXPECT_EQ(WriteText(*region, 29, "xy"), gone);
  EXPECT_EQ(object_.size(), 50U) << "writing has not made it larger again";
}

TEST_F(SharedRegionsTest, ANameIsTakenOnce) {
  ASSERT_TRUE(Register("r", 0, 10).ok());
  const Status again = Register("r", 0, 20);
  EXPECT_EQ(again.code(), Code::kAlreadyExists);
  EXPECT_EQ(again.message(), "shared memory region 'r' already in manager");
  ASSERT_TRUE(Register("s", 0, 20).ok()) << "one object may have several names";
  const auto all = regions_.All();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "r");
  EXPECT_EQ(all[0].size, 10U);
  EXPECT_EQ(all[1].key, object_.key());
}

TEST_F(SharedRegionsTest, UnregisteringWaitsForTheLastUser) {
  ASSERT_TRUE(Register("r", 0, 10).ok());
  auto used = *regions_.Find("r");
  bool done = false;
  regions_.Unregister("r", [&] { done = true; });
  EXPECT_FALSE(done);
  EXPECT_EQ(regions_.Find("r").status().message(), "Unable to find shared memory region: 'r'");
  ASSERT_TRUE(Register("r", 5, 5).ok()) << "the name is free at once";
  EXPECT_EQ(ReadText(*used, 0, 10).size(), 10U);
  used.reset();
  EXPECT_TRUE(done);
}

TEST_F(SharedRegionsTest, WhatIsNotThereIsUnregisteredAtOnce) {
  bool done = false;
  regions_.Unregister("r", [&] { done = true; });
  EXPECT_TRUE(done);
  done = false;
  regions_.UnregisterAll([&] { done = true; });
  EXPECT_TRUE(done);
}

TEST_F(SharedRegionsTest, UnregisteringAllWaitsForAll) {
  const size_t before = Descriptors();
  ASSERT_TRUE(Register("r", 0, 10).ok());
  ASSERT_TRUE(Register("s", 0, 10).ok());
  auto used = *regions_.Find("s");
  bool done = false;
  regions_.UnregisterAll([&] { done = true; });
  EXPECT_FALSE(done);
  EXPECT_TRUE(regions_.All().empty());
  used.reset();
  EXPECT_TRUE(done);
  EXPECT_EQ(Descriptors(), before);
}

TEST_F(SharedRegionsTest, ThereIsALimit) {
  Status status;
  size_t count = 0;
  while (status.ok() && count <= SharedRegions::kMaxRegions) {
    status = Register(Concat("r", count++), 0, 1);
  }
  EXPECT_EQ(status.code(), Code::kResourceExhausted) << status.message();
}

}  // namespace
}  // namespace despina
