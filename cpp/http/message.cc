#include "http/message.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "protocol/error_map.h"

namespace despina::http {
namespace {

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      // The phrase may be empty; the number says all.
      return "";
  }
}

void AppendNumber(std::string& out, uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

}  // namespace

size_t Answer::body_size() const {
  size_t size = text.size();
  for (const Slice& slice : slices) size += slice.size();
  return size;
}

Answer JsonAnswer(std::string json) {
  Answer answer;
  answer.content_type = "application/json";
  answer.text = std::move(json);
  return answer;
}

Answer ErrorAnswer(int status, std::string_view message) {
  Answer answer;
  answer.status = status;
  answer.content_type = "application/json";
  answer.text = protocol::ErrorJson(message);
  return answer;
}

Answer ErrorAnswer(const Status& status) {
  return ErrorAnswer(protocol::HttpStatus(status.code()), status.message());
}

std::string ChunkHead(size_t size) {
  char digits[16];
  std::string out(digits, std::to_chars(digits, digits + sizeof digits, size, 16).ptr);
  out += "\r\n";
  return out;
}

void WriteHead(const Answer& answer, Persistence persistence, Framing framing,
               std::string_view more, std::string& out) {
  out.assign("HTTP/1.1 ");
  AppendNumber(out, static_cast<uint64_t>(answer.status));
  out += ' ';
  out += ReasonPhrase(answer.status);
  // 204 says that there is no body.
  if (answer.status != 204) {
    out += "\r\nContent-Type: ";
    out += answer.content_type;
    if (answer.json_size) {
      out += "\r\nInference-Header-Content-Length: ";
      AppendNumber(out, *answer.json_size);
    }
    if (framing == Framing::kSize) {
      out += "\r\nContent-Length: ";
      AppendNumber(out, answer.body_size());
    } else if (framing == Framing::kChunks) {
      out += "\r\nTransfer-Encoding: chunked";
    }
  }
  out += "\r\n";
  out += answer.fields;
  out += more;
  if (persistence == Persistence::kSayClose) out += "Connection: close\r\n";
  if (persistence == Persistence::kSayKeepAlive) out += "Connection: keep-alive\r\n";
  out += "\r\n";
}

}  // namespace despina::http
