#include "base/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace despina {
namespace {

TEST(Status, IsOkWithoutTextByDefault) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), Code::kOk);
  EXPECT_EQ(status.message(), "");
}

TEST(Status, MadeWithOkDropsTheText) { EXPECT_EQ(Status(Code::kOk, "ignored").message(), ""); }

TEST(Status, CarriesCodeAndText) {
  const Status status = NotFound("no such model");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.message(), "no such model");
}

TEST(Status, CopiesAreIndependent) {
  Status first = Internal("one");
  Status second = first;
  first = Unavailable("two");
  EXPECT_EQ(second.code(), Code::kInternal);
  EXPECT_EQ(second.message(), "one");
  second = first;
  EXPECT_EQ(second.message(), "two");
  const Status& alias = second;
  second = alias;
  EXPECT_EQ(second.message(), "two");
  second = Ok();
  EXPECT_TRUE(second.ok());
}

TEST(Status, PrefixKeepsTheCodeAndLeavesOkAlone) {
  const Status status = InvalidArgument("wrong").WithPrefix("step 1: ");
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.message(), "step 1: wrong");
  EXPECT_TRUE(Ok().WithPrefix("step 1: ").ok());
}

TEST(Status, CodesAreThoseOfGrpcAndHaveItsNames) {
  EXPECT_EQ(static_cast<int>(Code::kInvalidArgument), 3);
  EXPECT_EQ(static_cast<int>(Code::kUnavailable), 14);
  const std::pair<Code, std::string> names[] = {{Code::kOk, "OK"},
                                                {Code::kCancelled, "CANCELLED"},
                                                {Code::kUnknown, "UNKNOWN"},
                                                {Code::kInvalidArgument, "INVALID_ARGUMENT"},
                                                {Code::kDeadlineExceeded, "DEADLINE_EXCEEDED"},
                                                {Code::kNotFound, "NOT_FOUND"},
                                                {Code::kAlreadyExists, "ALREADY_EXISTS"},
                                                {Code::kResourceExhausted, "RESOURCE_EXHAUSTED"},
                                                {Code::kFailedPrecondition, "FAILED_PRECONDITION"},
                                                {Code::kUnimplemented, "UNIMPLEMENTED"},
                                                {Code::kInternal, "INTERNAL"},
                                                {Code::kUnavailable, "UNAVAILABLE"}};
  for (const auto& [code, name] : names) EXPECT_EQ(CodeName(code), name);
  EXPECT_EQ(CodeName(static_cast<Code>(99)), "UNKNOWN");
}

TEST(Result, HoldsAValueOrTheReasonWhyThereIsNone) {
  Result<std::unique_ptr<int>> value = std::make_unique<int>(7);
  ASSERT_TRUE(value.ok());
  EXPECT_TRUE(value.status().ok());
  EXPECT_EQ(**value, 7);
  const std::unique_ptr<int> moved = *std::move(value);
  EXPECT_EQ(*moved, 7);

  const Result<std::unique_ptr<int>> none = NotFound("nothing");
  EXPECT_FALSE(none.ok());
  EXPECT_EQ(none.status().message(), "nothing");
}

}  // namespace
}  // namespace despina
