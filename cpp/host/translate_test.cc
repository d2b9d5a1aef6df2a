#include "host/translate.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace despina::host {
namespace {

TEST(TranslateTest, AnErrorWithoutATextSaysSo) {
  const despina_error error{};
  const Status status = StatusOf(DESPINA_FAILED_PRECONDITION, error);
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_EQ(status.message(), "the backend gave code 9 and no reason");
  EXPECT_TRUE(StatusOf(DESPINA_OK, error).ok());
}

TEST(TranslateTest, ATextWithoutAnEndIsReadUpToItsPlace) {
  despina_error error;
  std::memset(error.message, 'x', sizeof error.message);
  EXPECT_EQ(StatusOf(DESPINA_INTERNAL, error).message(), std::string(sizeof error.message, 'x'));
}

}  // namespace
}  // namespace despina::host
