#include "load/response_reader.h"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <optional>
#include <utility>

namespace despina::load {
namespace {

namespace beast = boost::beast;
using beast::error_code;

class Parser final : public beast::http::basic_parser<false> {
 public:
  explicit Parser(const ResponseReader::Sink& body) : body_(body) {
    body_limit(boost::none);
    header_limit(ResponseReader::kMaxHeadBytes);
    eager(false);
  }

  int status = 0;

 private:
  void on_response_impl(int code, beast::string_view, int, error_code&) override { status = code; }
  size_t on_body_impl(beast::string_view piece, error_code&) override { return Give(piece); }
  size_t on_chunk_body_impl(uint64_t, beast::string_view piece, error_code&) override {
    return Give(piece);
  }
  size_t Give(beast::string_view piece) {
    body_(std::as_bytes(std::span(piece.data(), piece.size())));
    return piece.size();
  }

  void on_request_impl(beast::http::verb, beast::string_view, beast::string_view, int,
                       error_code&) override {}
  void on_field_impl(beast::http::field, beast::string_view, beast::string_view,
                     error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  void on_chunk_header_impl(uint64_t, beast::string_view, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  const ResponseReader::Sink& body_;
};

}  // namespace

class ResponseReader::Impl {
 public:
  explicit Impl(Sink sink) : body(std::move(sink)) { parser.emplace(body); }

  Outcome Fail(std::string why) {
    error = std::move(why);
    return Outcome::kFailed;
  }

  const Sink body;
  std::optional<Parser> parser;
  std::string error;
};

ResponseReader::ResponseReader(Sink body) : impl_(std::make_unique<Impl>(std::move(body))) {}
ResponseReader::~ResponseReader() = default;

void ResponseReader::Reset() { impl_->parser.emplace(impl_->body); }

ResponseReader::Outcome ResponseReader::Read(std::span<const std::byte> bytes, size_t& used) {
  used = 0;
  while (true) {
    Parser& parser = *impl_->parser;
    if (parser.is_done()) {
      if (parser.status >= 200) return Outcome::kDone;
      if (parser.status == 101) return impl_->Fail("the server changed to another protocol");
      Reset();
      continue;
    }
    // The end, "0\r\n\r\n", is always to come. Beast's parser asserts that it has as much when it
    // has seen the zero.
    const size_t least = parser.is_header_done() && parser.chunked() ? 5 : 1;
    const auto rest = bytes.subspan(used);
    if (rest.size() < least) return Outcome::kNeedMore;
    error_code error;
    const size_t taken = parser.put({rest.data(), rest.size()}, error);
    used += taken;
    if (error == beast::http::error::need_more) {
      if (rest.size() - taken < kMaxHeadBytes) return Outcome::kNeedMore;
      return impl_->Fail("malformed answer: a chunk's head or the trailers are too long");
    }
    if (error) return impl_->Fail("malformed answer: " + error.message());
  }
}

ResponseReader::Outcome ResponseReader::ReadEnd() {
  Parser& parser = *impl_->parser;
  if (!parser.got_some()) return impl_->Fail("the server closed the connection without an answer");
  error_code error;
  parser.put_eof(error);
  if (!error && parser.status >= 200) return Outcome::kDone;
  return impl_->Fail("the server closed the connection within the answer");
}

int ResponseReader::status() const { return impl_->parser->status; }
bool ResponseReader::keep_alive() const { return impl_->parser->keep_alive(); }
const std::string& ResponseReader::error() const { return impl_->error; }

}  // namespace despina::load
