// HTTP requests and answers as the server sees them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/submit.h"
#include "frontend/field.h"
#include "memory/buffer.h"

namespace despina::http {

enum class Method : uint8_t { kGet, kPost, kHead, kOptions, kOther };

using frontend::Field;

// What the server reads of a request's head.
struct Head {
  enum class Expectation : uint8_t { kNone, kContinue, kUnknown };

  Method method = Method::kOther;
  // The name of one that is kOther.
  std::string other_method;
  // Of the target, without the query; as sent: nothing is decoded.
  std::string path;
  bool http_1_1 = false;
  bool keep_alive = false;
  bool chunked = false;
  // The body's size; nothing when it is chunked or there is none.
  std::optional<uint64_t> content_length;
  Expectation expectation = Expectation::kNone;
  // Content-Encoding, unless it says identity.
  std::string content_encoding;
  // Accept-Encoding; several are as good as one.
  std::string accept_encoding;
  // Inference-Header-Content-Length
  std::optional<std::string> json_size;
  // Accept names text/event-stream.
  bool accepts_events = false;
  // Those that the server's options ask for, in the order in which they came.
  std::vector<Field> fields;
  std::string traceparent;
  std::string tracestate;
  // When its first byte was there.
  TimePoint begun{};

  bool has_body() const { return chunked || content_length.value_or(0) > 0; }
};

struct Answer {
  int status = 200;
  std::string_view content_type = "text/plain";
  // The body is the text and then the slices.
  std::string text;
  std::vector<Slice> slices;
  // Inference-Header-Content-Length
  std::optional<uint64_t> json_size;
  // Further fields, each with its line end.
  std::string_view fields;
  // Of its request, if that is traced.
  std::shared_ptr<Trace> trace;

  size_t body_size() const;
};

// 200 with such a body, which may be empty.
Answer JsonAnswer(std::string json);
// {"error":"<message>"}
Answer ErrorAnswer(int status, std::string_view message);
Answer ErrorAnswer(const Status& status);

// How the head of an answer ends the exchange.
enum class Persistence : uint8_t { kImplied, kSayKeepAlive, kSayClose };
// How the client learns where the body ends.
enum class Framing : uint8_t { kSize, kChunks, kClose };

// What stands before a chunk of so many bytes; a line end follows it.
std::string ChunkHead(size_t size);

// Replaces `out` by the status line and the fields, up to the empty line. Its memory is reused.
// `more` are further fields, each with its line end.
void WriteHead(const Answer& answer, Persistence persistence, Framing framing,
               std::string_view more, std::string& out);

}  // namespace despina::http
