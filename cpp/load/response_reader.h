// Beast's parser, for answers. Its .cc is the only file of this layer that includes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace despina::load {

// Keeps nothing of what it reads, whatever the size of the answer.
class ResponseReader {
 public:
  enum class Outcome : uint8_t {
    // All that could be used was used. What was not used has to come again, with more behind it.
    kNeedMore,
    kDone,
    // See error(); the bytes that follow cannot be made sense of.
    kFailed,
  };
  using Sink = std::function<void(std::span<const std::byte>)>;

  // Longer heads are no answers: what has not been used is never more than this.
  static constexpr size_t kMaxHeadBytes = 8192;

  // `body` gets the content in pieces; status() is known then.
  explicit ResponseReader(Sink body);
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;
  ~ResponseReader();

  // To be called before each answer.
  void Reset();
  // `used` is set to the bytes that were used. Answers that announce others (1xx) are skipped.
  Outcome Read(std::span<const std::byte> bytes, size_t& used);
  // The server has closed: the end of an answer whose head does not say its size.
  Outcome ReadEnd();

  // 0 until the head has been read.
  int status() const;
  // After kDone: whether the next answer comes over the same connection.
  bool keep_alive() const;
  // After kFailed.
  const std::string& error() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace despina::load
