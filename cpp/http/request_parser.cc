#include "http/request_parser.h"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>
#include <optional>
#include <string_view>

#include "base/text.h"

namespace despina::http {
namespace {

using frontend::FieldFilter;

namespace beast = boost::beast;
using beast::error_code;
using beast::http::field;
using beast::http::verb;

Method ToMethod(verb method) {
  switch (method) {
    case verb::get:
      return Method::kGet;
    case verb::post:
      return Method::kPost;
    case verb::head:
      return Method::kHead;
    case verb::options:
      return Method::kOptions;
    default:
      return Method::kOther;
  }
}

// Takes from a request what the server needs, without keeping the rest.
class Parser final : public beast::http::basic_parser<true> {
 public:
  // `filter` may be null.
  explicit Parser(const FieldFilter* filter) : filter_(filter) {
    // The session has limits of its own; the one on the header would be for one line of it.
    body_limit(boost::none);
    header_limit(std::numeric_limits<uint32_t>::max());
    eager(false);
  }

  Head* head = nullptr;
  const RequestParser::Sink* sink = nullptr;
  int error_status = 400;
  std::string error;

 private:
  void Refuse(int status, std::string why, error_code& ec) {
    error_status = status;
    error = std::move(why);
    ec = beast::http::error::bad_value;
  }

  void on_request_impl(verb method, beast::string_view name, beast::string_view target, int version,
                       error_code&) override {
    head->method = ToMethod(method);
    if (head->method == Method::kOther) head->other_method = name;
    head->path = target.substr(0, target.find('?'));
    head->http_1_1 = version == 11;
  }

  void on_field_impl(field name, beast::string_view name_text, beast::string_view value,
                     error_code& ec) override {
    if (is_header_done()) return;  // a trailer
    if (filter_ != nullptr && filter_->Wants(name_text)) {
      head->fields.push_back({.name = name_text, .value = value});
    }
    switch (name) {
      case field::content_encoding:
        // Two fields are as good as one with both values.
        if (!beast::iequals(value, "identity")) head->content_encoding = value;
        return;
      case field::accept_encoding:
        if (!head->accept_encoding.empty()) head->accept_encoding += ',';
        head->accept_encoding += value;
        return;
      case field::transfer_encoding:
        if (!beast::iequals(value, "chunked")) {
          Refuse(501, Concat("Transfer-Encoding: ", std::string_view(value), " is not supported"),
                 ec);
        } else if (!head->http_1_1) {
          Refuse(400, "HTTP/1.0 has no Transfer-Encoding", ec);
        }
        return;
      case field::accept:
        head->accepts_events =
            head->accepts_events || value.find("text/event-stream") != value.npos;
        return;
      case field::expect:
        head->expectation = beast::iequals(value, "100-continue") ? Head::Expectation::kContinue
                                                                  : Head::Expectation::kUnknown;
        return;
      default:
        if (beast::iequals(name_text, "traceparent")) {
          // Given more than once it is none.
          head->traceparent = head->traceparent.empty() ? std::string(value) : "twice";
          return;
        }
        if (beast::iequals(name_text, "tracestate")) {
          // Several are as good as one with all members.
          if (!head->tracestate.empty()) head->tracestate += ',';
          head->tracestate += value;
          return;
        }
        if (!beast::iequals(name_text, "Inference-Header-Content-Length")) return;
        if (head->json_size) {
          Refuse(400, "Inference-Header-Content-Length is given more than once", ec);
        }
        head->json_size = value;
    }
  }

  void on_header_impl(error_code&) override {
    head->keep_alive = keep_alive();
    head->chunked = chunked();
    if (const auto length = content_length()) head->content_length = *length;
  }

  size_t on_chunk_body_impl(uint64_t, beast::string_view body, error_code& ec) override {
    if (!(*sink)(std::as_bytes(std::span(body.data(), body.size())))) {
      ec = beast::http::error::body_limit;
    }
    return body.size();
  }

  void on_response_impl(int, beast::string_view, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  size_t on_body_impl(beast::string_view body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(uint64_t, beast::string_view, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  const FieldFilter* const filter_;
};

}  // namespace

class RequestParser::Impl {
 public:
  const FieldFilter* filter = nullptr;
  std::optional<Parser> parser;

  // `done` says whether enough has been parsed; until then there are `least` bytes to come.
  template <class Done>
  Outcome Put(std::span<const std::byte> bytes, size_t least, size_t& used, Done done) {
    used = 0;
    while (!done(*parser)) {
      if (bytes.size() - used < least) return Outcome::kNeedMore;
      error_code ec;
      used += parser->put({bytes.data() + used, bytes.size() - used}, ec);
      if (ec == beast::http::error::need_more) return Outcome::kNeedMore;
      if (ec) {
        if (parser->error.empty()) parser->error = "malformed HTTP request: " + ec.message();
        return Outcome::kFailed;
      }
    }
    return Outcome::kDone;
  }
};

RequestParser::RequestParser(const frontend::FieldFilter& filter)
    : impl_(std::make_unique<Impl>()) {
  impl_->filter = filter.empty() ? nullptr : &filter;
  Reset();
}
RequestParser::~RequestParser() = default;

void RequestParser::Reset() { impl_->parser.emplace(impl_->filter); }

RequestParser::Outcome RequestParser::ParseHead(std::span<const std::byte> bytes, Head& head,
                                                size_t& used) {
  impl_->parser->head = &head;
  return impl_->Put(bytes, 1, used, [](const Parser& parser) { return parser.is_header_done(); });
}

RequestParser::Outcome RequestParser::ParseChunks(std::span<const std::byte> bytes,
                                                  const Sink& sink, size_t& used) {
  impl_->parser->sink = &sink;
  // The end, "0\r\n\r\n", is always to come. Beast's parser asserts that it has as much when it has
  // seen the zero.
  constexpr size_t kEnd = 5;
  return impl_->Put(bytes, kEnd, used, [](const Parser& parser) { return parser.is_done(); });
}

int RequestParser::error_status() const { return impl_->parser->error_status; }
const std::string& RequestParser::error() const { return impl_->parser->error; }

}  // namespace despina::http
