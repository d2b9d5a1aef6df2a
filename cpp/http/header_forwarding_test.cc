#include "http/header_forwarding.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "http/testing/session_fixture.h"

namespace despina::http {
namespace {

using Fields = std::vector<Field>;

// "name=value" of each parameter, or the error.
std::string Forwarded(const std::string& pattern, Fields fields,
                      std::vector<Parameter> parameters = {}) {
  const auto forwarding = HeaderForwarding::Make(pattern);
  if (!forwarding.ok()) return forwarding.status().message();
  Head head;
  head.fields = std::move(fields);
  const Status status = (*forwarding)->AddTo(parameters, head);
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

class FieldsTest : public testing::SessionTest {
 protected:
  // The fields that the handler sees of a request, as "name: value" each.
  std::vector<std::string> Kept(const FieldFilter& filter, std::string_view request) {
    environment_ = std::make_shared<SessionEnvironment>(limits_, 1 << 30, pool_, clock_);
    environment_->fields = filter;
    auto handler = std::make_unique<testing::RecordingHandler>();
    handler_ = handler.get();
    session_ = std::make_shared<Session>(environment_, std::move(handler));
    session_->OnOpened(*this);
    EXPECT_TRUE(Feed(request));
    EXPECT_FALSE(handler_->heads.empty()) << sent_;
    std::vector<std::string> fields;
    for (const Field& each : handler_->heads.back().fields) {
      fields.push_back(each.name + ": " + each.value);
    }
    return fields;
  }
};

constexpr std::string_view kRequest =
    "GET /v2 HTTP/1.1\r\nHost: h\r\nx-a:  1 \r\nAccept: */*\r\nX-A: 2\r\nx-b:\r\n\r\n";

TEST_F(FieldsTest, NoneAreKeptUnlessTheyAreWanted) {
  EXPECT_TRUE(Kept(FieldFilter(), kRequest).empty());
}

TEST_F(FieldsTest, ThoseThatAreNamedAreKept) {
  FieldFilter filter;
  filter.Add("X-a");
  filter.Add("host");
  EXPECT_EQ(Kept(filter, kRequest), (std::vector<std::string>{"Host: h", "x-a: 1", "X-A: 2"}));
}

TEST_F(FieldsTest, AllAreKeptWhereAllAreWanted) {
  FieldFilter filter;
  filter.AddAll();
  EXPECT_EQ(Kept(filter, kRequest),
            (std::vector<std::string>{"Host: h", "x-a: 1", "Accept: */*", "X-A: 2", "x-b: "}));
}

TEST_F(FieldsTest, TheyAreThoseOfOneRequest) {
  FieldFilter filter;
  filter.Add("x-a");
  EXPECT_EQ(Kept(filter, std::string(kRequest) + "GET /v2 HTTP/1.1\r\nx-a: 3\r\n\r\n"),
            std::vector<std::string>{"x-a: 3"});
}

TEST_F(FieldsTest, TrailersAreNoFields) {
  FieldFilter filter;
  filter.AddAll();
  const std::vector<std::string> kept = Kept(filter, testing::kChunkedPost);
  EXPECT_EQ(kept, std::vector<std::string>{"Transfer-Encoding: chunked"});
}

}  // namespace
}  // namespace despina::http
