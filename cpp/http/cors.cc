#include "http/cors.h"

#include <algorithm>

#include "base/text.h"

namespace despina::http {
namespace {

constexpr std::string_view kOrigin = "Origin";
constexpr std::string_view kRequestMethod = "Access-Control-Request-Method";
constexpr std::string_view kRequestHeaders = "Access-Control-Request-Headers";

const Field* Find(const Head& head, std::string_view name) {
  const auto found = std::ranges::find_if(
      head.fields, [name](const Field& each) { return frontend::IsSameName(each.name, name); });
  return found == head.fields.end() ? nullptr : &*found;
}

// As browsers write it, but for the case of its letters.
bool IsOrigin(std::string_view text) {
  const size_t colon = text.find("://");
  if (colon == 0 || colon == text.npos) return false;
  const std::string_view host = text.substr(colon + 3);
  return !host.empty() && std::ranges::all_of(host, [](char c) {
    return c > ' ' && c < 0x7f && std::string_view("/?#@\\,").find(c) == std::string_view::npos;
  });
}

}  // namespace

Status Cors::Allow(std::string_view origin) {
  if (origin == "*") {
    all_ = true;
    return Ok();
  }
  if (!IsOrigin(origin)) {
    return InvalidArgument(Concat("'", origin, "' is neither * nor SCHEME://HOST[:PORT]"));
  }
  std::string& added = origins_.emplace_back(origin);
  for (char& c : added) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return Ok();
}

void Cors::AddTo(frontend::FieldFilter& filter) const {
  for (const std::string_view name : {kOrigin, kRequestMethod, kRequestHeaders}) {
    filter.Add(std::string(name));
  }
}

bool Cors::IsAllowed(const Field* origin) const {
  return all_ ||
         (origin != nullptr && std::ranges::find(origins_, origin->value) != origins_.end());
}

bool Cors::IsPreflight(const Head& head) const {
  const Field* const origin = Find(head, kOrigin);
  return head.method == Method::kOptions && origin != nullptr && IsAllowed(origin) &&
         Find(head, kRequestMethod) != nullptr;
}

void Cors::AppendFields(const Head& head, std::string& out) const {
  const Field* const origin = Find(head, kOrigin);
  // Caches must not give an answer for one origin to another.
  if (!all_) out += "Vary: Origin\r\n";
  if (!IsAllowed(origin)) return;
  out += "Access-Control-Allow-Origin: ";
  out += all_ ? std::string_view("*") : std::string_view(origin->value);
  if (!IsPreflight(head)) {
    // Without it a page could not take a body with binary tensors apart.
    out += "\r\nAccess-Control-Expose-Headers: Inference-Header-Content-Length\r\n";
    return;
  }
  out += "\r\nAccess-Control-Allow-Methods: GET, POST\r\n";
  if (const Field* const asked = Find(head, kRequestHeaders)) {
    out += "Access-Control-Allow-Headers: ";
    out += asked->value;
    out += "\r\n";
  }
  // Seconds; browsers keep it no longer.
  out += "Access-Control-Max-Age: 7200\r\n";
}

}  // namespace despina::http
