#include "load/call_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/status.h"
#include "base/text.h"

namespace despina::load {
namespace {

// Of an error's text.
constexpr size_t kKeptOfError = 1024;
constexpr int kHttpSuccess = 200;
// ModelStreamInferResponse.error_message, which is written before its other field.
constexpr char kErrorMessage = 0x0A;

std::optional<int> NumberOf(std::string_view text) {
  int number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end || number < 0) return std::nullopt;
  return number;
}

// What grpc-message says.
std::string PercentDecoded(std::string_view text) {
  std::string decoded;
  while (!text.empty() && decoded.size() < kKeptOfError) {
    unsigned byte = 0;
    const bool escaped =
        text.size() >= 3 && text[0] == '%' &&
        std::from_chars(text.data() + 1, text.data() + 3, byte, 16).ptr == text.data() + 3;
    decoded += escaped ? static_cast<char>(byte) : text[0];
    text.remove_prefix(escaped ? 3 : 1);
  }
  return decoded;
}

// Not all codes are among ours.
std::string NameOf(int status) {
  const Code code = static_cast<Code>(status);
  const std::string_view name = CodeName(code);
  if (name == CodeName(Code::kUnknown) && code != Code::kUnknown) {
    return Concat("status ", status, " of gRPC");
  }
  return std::string(name);
}

// The text of an error that a message of a stream begins with, as far as it is there.
std::string_view ErrorOf(std::string_view message) {
  if (!message.starts_with(kErrorMessage)) return {};
  message.remove_prefix(1);
  size_t size = 0;
  for (unsigned shift = 0; !message.empty() && shift < 32; shift += 7) {
    const auto byte = static_cast<unsigned char>(message.front());
    message.remove_prefix(1);
    size |= size_t{byte & 0x7FU} << shift;
    if ((byte & 0x80U) == 0) break;
  }
  return message.substr(0, size);
}

}  // namespace

CallReader::CallReader(bool stream, Sink message) : stream_(stream), message_(std::move(message)) {}

void CallReader::Reset() {
  begun_ = false;
  http_status_ = 0;
  status_.reset();
  status_text_.clear();
  prefix_size_ = 0;
  left_ = 0;
  beginning_.clear();
  error_.clear();
  messages_ = 0;
  malformed_.clear();
}

void CallReader::ReadField(std::string_view name, std::string_view value) {
  begun_ = true;
  if (name == ":status") {
    http_status_ = NumberOf(value).value_or(0);
  } else if (name == "grpc-status") {
    status_ = NumberOf(value);
  } else if (name == "grpc-message") {
    status_text_ = PercentDecoded(value);
  }
}

size_t CallReader::ReadBody(std::span<const std::byte> bytes) {
  begun_ = true;
  ended_ = 0;
  while (!bytes.empty() && malformed_.empty()) {
    if (prefix_size_ < kPrefix) {
      ReadPrefix(bytes.front());
      bytes = bytes.subspan(1);
    } else {
      const std::span<const std::byte> part = bytes.first(std::min(left_, bytes.size()));
      bytes = bytes.subspan(part.size());
      left_ -= part.size();
      if (stream_) KeepBeginning(part);
      if (message_) message_(part);
    }
    if (prefix_size_ == kPrefix && left_ == 0) EndMessage();
  }
  return ended_;
}

void CallReader::ReadPrefix(std::byte next) {
  prefix_[prefix_size_++] = next;
  if (prefix_size_ < kPrefix) return;
  for (const std::byte each : std::span(prefix_).subspan(1)) {
    left_ = left_ << 8U | std::to_integer<size_t>(each);
  }
  at_beginning_ = true;
  // Nothing was said that the answer could be compressed with.
  const auto flag = std::to_integer<unsigned>(prefix_[0]);
  if (flag != 0) malformed_ = Concat("a message begins with ", flag, " instead of 0");
}

void CallReader::KeepBeginning(std::span<const std::byte> part) {
  if (part.empty()) return;
  const std::string_view text(reinterpret_cast<const char*>(part.data()), part.size());
  if (std::exchange(at_beginning_, false)) keeps_ = text.front() == kErrorMessage;
  if (!keeps_) return;
  beginning_.append(text.substr(0, kKeptOfError - std::min(kKeptOfError, beginning_.size())));
}

void CallReader::EndMessage() {
  prefix_size_ = 0;
  ++messages_;
  const std::string_view error = ErrorOf(beginning_);
  if (error.empty()) {
    ++ended_;
  } else if (error_.empty()) {
    error_ = error;
  }
  beginning_.clear();
}

std::string CallReader::Failure() const {
  if (!status_) {
    if (http_status_ != kHttpSuccess && http_status_ != 0) {
      return Concat("status ", http_status_, " of HTTP");
    }
    return "malformed answer: no grpc-status";
  }
  if (*status_ != 0) {
    return Concat(NameOf(*status_), status_text_.empty() ? "" : ": ", status_text_);
  }
  if (!malformed_.empty()) return Concat("malformed answer: ", malformed_);
  if (prefix_size_ > 0) return "malformed answer: it ends within a message";
  if (!stream_ && messages_ != 1) {
    return Concat("malformed answer: ", messages_, " messages where there must be one");
  }
  return error_;
}

}  // namespace despina::load
