// Beast's parser, for heads and chunked bodies. Its .cc is the only file that includes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "frontend/field_filter.h"
#include "http/message.h"

namespace despina::http {

class RequestParser {
 public:
  enum class Outcome : uint8_t {
    // All that could be used was used. What was not used has to come again, with more behind it.
    kNeedMore,
    // The head, or the body, is complete.
    kDone,
    // See error(); the bytes that follow cannot be made sense of.
    kFailed,
  };
  // Returns false to stop.
  using Sink = std::function<bool(std::span<const std::byte>)>;

  // `filter` says which fields are put into Head::fields; it must outlive the parser.
  explicit RequestParser(const frontend::FieldFilter& filter);
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;
  ~RequestParser();

  // To be called before each request.
  void Reset();
  // Adds what `bytes` hold of the head to `head`. `used` is set to the bytes that were used.
  Outcome ParseHead(std::span<const std::byte> bytes, Head& head, size_t& used);
  // After the head of a chunked request. Gives the content to `sink`; trailers are dropped.
  Outcome ParseChunks(std::span<const std::byte> bytes, const Sink& sink, size_t& used);

  // After kFailed: the status to answer with, and why.
  int error_status() const;
  const std::string& error() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace despina::http
