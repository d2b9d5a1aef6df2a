#include "frontend/header_forwarding.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace despina::frontend {
namespace {

using Fields = std::vector<Field>;

// "name=value" of each parameter, or the error.
std::string Forwarded(const std::string& pattern, const Fields& fields,
                      std::vector<Parameter> parameters = {}) {
  const auto forwarding = HeaderForwarding::Make(pattern);
  if (!forwarding.ok()) return forwarding.status().message();
  const Status status = (*forwarding)->AddTo(parameters, fields);
  if (!status.ok()) {
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    return status.message();
  }
  std::string all;
  for (const Parameter& each : parameters) {
    all += each.name + "=" + std::get<std::string>(each.value) + ";";
  }
  return all;
}

TEST(HeaderForwardingTest, TakesFieldsWhoseNamesHoldAMatchInAnyCase) {
  const Fields fields = {{"X-One", "1"}, {"other", "2"}, {"y-ax-b", "3"}, {"x-Empty", ""}};
  EXPECT_EQ(Forwarded("x-", fields), "X-One=1;y-ax-b=3;x-Empty=;");
  EXPECT_EQ(Forwarded("^X-", fields), "X-One=1;x-Empty=;");
  EXPECT_EQ(Forwarded("(?-i)x-", fields), "y-ax-b=3;x-Empty=;");
  EXPECT_EQ(Forwarded(".*", fields), "X-One=1;other=2;y-ax-b=3;x-Empty=;");
  EXPECT_EQ(Forwarded("nothing", fields), "");
}

TEST(HeaderForwardingTest, SaysWhatIsWrongWithAPattern) {
  EXPECT_EQ(Forwarded("a(b", {}), "'a(b' is no regular expression: missing ): a(b");
  EXPECT_EQ(Forwarded("(?=x)", {}).find("'(?=x)' is no regular expression: "), 0U);
}

TEST(HeaderForwardingTest, PutsFieldsOfOneNameTogether) {
  EXPECT_EQ(Forwarded("x", {{"x-a", "1"}, {"x-b", "2"}, {"X-A", "3"}}), "x-a=1, 3;x-b=2;");
}

TEST(HeaderForwardingTest, RefusesNamesThatAreReserved) {
  for (const std::string name :
       {"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "headers",
        "binary_data_output", "Priority", "triton_x", "TRITON_"}) {
    EXPECT_EQ(Forwarded(".*", {{name, "1"}}),
              "header '" + name + "' cannot be forwarded: parameters of this name are reserved");
    EXPECT_EQ(Forwarded("x-", {{name, "1"}}), "") << "it does not match";
  }
  EXPECT_EQ(Forwarded(".*", {{"priority_of_mine", "1"}, {"my_triton_x", "2"}}),
            "priority_of_mine=1;my_triton_x=2;");
}

TEST(HeaderForwardingTest, RefusesANameThatIsAParameterToo) {
  const std::vector<Parameter> parameters = {{.name = "user", .value = std::string("json")}};
  EXPECT_EQ(Forwarded("user", {{"User", "header"}}, parameters),
            "parameter 'user' is a header too");
  EXPECT_EQ(Forwarded("x", {{"User", "header"}, {"x", "1"}}, parameters), "user=json;x=1;");
}

TEST(HeaderForwardingTest, RefusesAValueThatIsNoText) {
  EXPECT_EQ(Forwarded("x", {{"x", "\xe9"}}), "header 'x' cannot be forwarded: it is not UTF-8");
  EXPECT_EQ(Forwarded("x", {{"x", "\xc3\xa9"}}), "x=\xc3\xa9;");
}

}  // namespace
}  // namespace despina::frontend
