// What a server of gRPC answers to a call, as it comes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace despina::load {

// Keeps nothing of what it reads but what an error says, whatever the size of the answer.
class CallReader {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;

  // `stream`: any number of messages may come, of ModelStreamInfer, where errors of requests are
  // messages; otherwise one. `message` gets the content of messages in pieces; null: nobody does.
  explicit CallReader(bool stream, Sink message = nullptr);

  // To be called before each answer.
  void Reset();
  // Of the head, or of the trailers.
  void ReadField(std::string_view name, std::string_view value);
  // The number of messages that these bytes end, without those that tell an error.
  size_t ReadBody(std::span<const std::byte> bytes);

  // Whether anything has come.
  bool begun() const { return begun_; }
  // Of gRPC, once the trailers have come.
  std::optional<int> status() const { return status_; }
  // Of an answer that has ended; empty: it is none.
  std::string Failure() const;

 private:
  static constexpr size_t kPrefix = 5;

  void ReadPrefix(std::byte next);
  void KeepBeginning(std::span<const std::byte> part);
  void EndMessage();

  const bool stream_;
  const Sink message_;
  bool begun_ = false;
  int http_status_ = 0;
  std::optional<int> status_;
  std::string status_text_;

  std::array<std::byte, kPrefix> prefix_{};
  size_t prefix_size_ = 0;
  // Of the message, what is still to come.
  size_t left_ = 0;
  // Of a message of a stream that may tell an error.
  std::string beginning_;
  bool at_beginning_ = false;
  bool keeps_ = false;
  std::string error_;
  size_t messages_ = 0;
  // Messages that these bytes have ended.
  size_t ended_ = 0;
  std::string malformed_;
};

}  // namespace despina::load
