#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "frontend/field_filter.h"
#include "http/testing/session_fixture.h"

namespace despina::http {
namespace {

using frontend::FieldFilter;

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
