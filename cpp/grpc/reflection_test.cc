#include "grpc/reflection.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "grpc/testing/session_fixture.h"

namespace despina::grpc {
namespace {

constexpr const char* kPaths[] = {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                                  "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};

class ReflectionTest : public testing::SessionTest {
 protected:
  void OnCall(Call& call) override { call.Accept(std::make_unique<ReflectionCall>(descriptors_)); }
  std::string Answer(std::string_view request) const {
    return testing::Framed(*descriptors_.Answer(request));
  }

  // A file that declares nothing, of some size.
  const std::string file_ = "\x0A\x01x\x12\x7F" + std::string(127, 'p');
  const protocol::Descriptors descriptors_ = *protocol::Descriptors::Make(std::vector{file_});
};

constexpr std::string_view kListServices = "\x3A\x01*";
constexpr std::string_view kFile = "\x1A\x01x";

TEST_F(ReflectionTest, AnswersEachRequestWhenItComes) {
  Open();
  for (const char* const path : kPaths) {
    const int32_t stream = Start(path, testing::Framed(kListServices), false);
    Exchange();
    EXPECT_EQ(answered_[stream].body, Answer(kListServices));
    SendMore(stream, testing::Framed(kFile) + testing::Framed(kFile), false);
    Exchange();
    EXPECT_EQ(answered_[stream].body, Answer(kListServices) + Answer(kFile) + Answer(kFile));
    EXPECT_EQ(answered_[stream].status(), "none");
    SendMore(stream, "", true);
    Exchange();
    EXPECT_EQ(answered_[stream].status(), "0");
  }
}

TEST_F(ReflectionTest, EndsWithAnErrorForWhatIsNoRequest) {
  Open();
  const int32_t stream = Start(kPaths[0], testing::Framed("\x1A\x05"), false);
  Exchange();
  EXPECT_EQ(answered_[stream].status(), "3");
}

TEST_F(ReflectionTest, AClientThatAsksForMoreThanItReadsIsCutOff) {
  Open();
  Exchange();
  std::string many;
  for (size_t i = 0; i < 50'000; ++i) many += testing::Framed(kFile);
  const int32_t stream = Start(kPaths[0], many, false);
  Exchange();
  EXPECT_EQ(answered_[stream].status(), "8");
  EXPECT_LT(answered_[stream].body.size(), size_t{5} << 20);
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
}

}  // namespace
}  // namespace despina::grpc
