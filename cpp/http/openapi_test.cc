#include "http/openapi.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <set>
#include <string>

namespace despina::http {
namespace {

namespace dom = simdjson::dom;

std::string Text(const dom::element& value) {
  std::string_view text;
  EXPECT_EQ(value.get(text), simdjson::SUCCESS);
  return std::string(text);
}

// Every place that a "$ref" points to.
void CollectReferences(const dom::element& value, std::set<std::string>& found) {
  dom::array array;
  if (value.get(array) == simdjson::SUCCESS) {
    for (const dom::element each : array) CollectReferences(each, found);
  }
  dom::object object;
  if (value.get(object) != simdjson::SUCCESS) return;
  for (const auto& [key, member] : object) {
    if (key == "$ref") found.insert(Text(member));
    CollectReferences(member, found);
  }
}

class OpenApiTest : public ::testing::Test {
 protected:
  OpenApiTest() : text_(OpenApiJson(InferenceRoutes(), {"a \"server\"", "1.2"})) {
    EXPECT_EQ(parser_.parse(text_).get(document_), simdjson::SUCCESS) << text_;
  }
  dom::element At(std::string_view pointer) {
    dom::element found;
    EXPECT_EQ(document_.at_pointer(pointer).get(found), simdjson::SUCCESS) << pointer;
    return found;
  }

  const std::string text_;
  dom::parser parser_;
  dom::element document_;
};

TEST_F(OpenApiTest, DescribesEveryRouteOnce) {
  std::set<std::string> operations;
  size_t described = 0;
  const dom::object paths = At("/paths");
  for (const auto& [path, value] : paths) {
    const dom::object methods = value;
    for (const auto& [method, operation] : methods) {
      ++described;
      operations.insert(Text(operation["operationId"]));
      const dom::array parameters = operation["parameters"];
      EXPECT_EQ(parameters.size(), static_cast<size_t>(std::ranges::count(path, '{'))) << path;
    }
  }
  EXPECT_EQ(described, InferenceRoutes().size());
  EXPECT_EQ(operations.size(), described) << "operations have names of their own";
}

TEST_F(OpenApiTest, EverySchemaThatIsNamedIsThere) {
  std::set<std::string> references;
  CollectReferences(document_, references);
  EXPECT_GT(references.size(), 10U);
  for (const std::string& each : references) At(each.substr(1));
}

TEST_F(OpenApiTest, SaysWhoseItIs) {
  EXPECT_EQ(Text(At("/info/title")), "a \"server\"");
  EXPECT_EQ(Text(At("/info/version")), "1.2");
  EXPECT_EQ(Text(At("/paths/~1v2~1health~1live/get/operationId")), "server_live");
}

}  // namespace
}  // namespace despina::http
