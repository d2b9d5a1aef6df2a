#include "http/openapi.h"

#include <vector>

#include "base/text.h"
#include "protocol/json_text.h"

namespace despina::http {
namespace {

using protocol::Quoted;

// The names between braces.
std::vector<std::string_view> ParametersOf(std::string_view path) {
  std::vector<std::string_view> names;
  while (true) {
    const size_t open = path.find('{');
    if (open == std::string_view::npos) return names;
    const size_t close = path.find('}', open);
    names.push_back(path.substr(open + 1, close - open - 1));
    path.remove_prefix(close + 1);
  }
}

std::string Parameters(std::string_view path) {
  std::string out;
  for (const std::string_view name : ParametersOf(path)) {
    const std::string_view schema = name == "version" ? R"({"type":"integer","minimum":1})"
                                                      : R"({"type":"string","minLength":1})";
    out += Concat(out.empty() ? "" : ",", R"({"name":)", Quoted(name),
                  R"(,"in":"path","required":true,"schema":)", schema, '}');
  }
  return out;
}

// Paths of one operation differ in their parameters.
std::string OperationId(const Route& route) {
  std::string out(route.operation);
  const std::vector<std::string_view> names = ParametersOf(route.path);
  for (const std::string_view name : names) {
    if (name == "version" || name == "region") out += Concat("_of_", name);
  }
  return out;
}

std::string Content(std::string_view type, std::string_view schema) {
  return Concat(R"({)", Quoted(type), R"(:{"schema":{"$ref":"#/components/schemas/)", schema,
                R"("}}})");
}

std::string Operation(const Route& route) {
  std::string out =
      Concat(R"({"operationId":)", Quoted(OperationId(route)), R"(,"summary":)",
             Quoted(route.summary), R"(,"parameters":[)", Parameters(route.path), ']');
  if (!route.request.empty()) {
    out += Concat(R"(,"requestBody":{"content":)", Content("application/json", route.request), '}');
  }
  out += R"(,"responses":{"200":{"description":"Done")";
  if (!route.response.empty()) {
    const std::string_view type =
        route.response == kEventStream ? "text/event-stream" : "application/json";
    out += Concat(R"(,"content":)", Content(type, route.response));
  }
  out += Concat(R"(},"default":{"description":"Refused","content":)",
                Content("application/json", "Error"), "}}}");
  return out;
}

std::string_view MethodName(Method method) { return method == Method::kPost ? "post" : "get"; }

}  // namespace

std::string OpenApiJson(std::span<const Route> routes, const ServerIdentity& server) {
  std::string out = Concat(R"({"openapi":"3.1.0","info":{"title":)", Quoted(server.name),
                           R"(,"version":)", Quoted(server.version), R"(},"paths":{)");
  // Routes of one path stand together.
  std::string_view path;
  for (const Route& route : routes) {
    if (route.path == path) {
      out.back() = ',';
    } else {
      out += Concat(path.empty() ? "" : ",", Quoted(route.path), ":{");
      path = route.path;
    }
    out += Concat('"', MethodName(route.method), R"(":)", Operation(route), '}');
  }
  out += Concat(R"(},"components":{"schemas":{)", OpenApiSchemas(), "}}}");
  return out;
}

}  // namespace despina::http
