#include "grpc/message_reader.h"

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/testing/zlib.h"
#include "grpc/testing/client.h"
#include "memory/pool.h"

namespace despina::grpc {
namespace {

using frontend::testing::Compressed;
using frontend::testing::kZlibForm;
using testing::Framed;

// ModelInferRequest with a name of so many letters and one raw input.
std::string InferMessage(size_t name, std::string_view raw) {
  std::string out = "\x0a" + std::string(1, static_cast<char>(name)) + std::string(name, 'm');
  out += "\x3a" + std::string(1, static_cast<char>(raw.size()));
  return out.append(raw);
}

class MessageReaderTest : public ::testing::Test {
 protected:
  // Gives it the bytes, so many at a time. The messages, or the first error.
  std::vector<std::string> Read(std::string_view bytes, size_t step = std::string_view::npos) {
    MessageReader reader({.max_bytes = limit_}, compressed_, pool_, budget_);
    std::vector<std::string> messages;
    status_ = Ok();
    while (!bytes.empty()) {
      const std::string_view part = bytes.substr(0, step);
      bytes.remove_prefix(part.size());
      std::span<const std::byte> rest = std::as_bytes(std::span(part.data(), part.size()));
      while (true) {
        Result<std::optional<Message>> next = reader.Next(rest);
        if (!next.ok()) {
          status_ = next.status();
          return messages;
        }
        if (!*next) break;
        const Slice& slice = (*next)->bytes;
        messages.emplace_back(reinterpret_cast<const char*>(slice.data()), slice.size());
      }
      EXPECT_TRUE(rest.empty());
    }
    within_ = reader.within_message();
    return messages;
  }
  void ExpectRefused(std::string_view bytes, Code code, std::string_view text) {
    for (const size_t step : {size_t{1}, std::string_view::npos}) {
      EXPECT_TRUE(Read(bytes, step).empty());
      EXPECT_EQ(status_.code(), code);
      EXPECT_NE(status_.message().find(text), std::string::npos) << status_.message();
      EXPECT_EQ(budget_.used(), 0U);
      EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
    }
  }

  BufferPool pool_;
  Budget budget_{uint64_t{1} << 30};
  size_t limit_ = 1 << 20;
  bool compressed_ = false;
  Status status_;
  bool within_ = false;
};

TEST_F(MessageReaderTest, GivesWholeMessagesHoweverTheyCome) {
  const std::vector<std::string> messages = {"", "a", std::string(1000, 'b'), "",
                                             std::string(200'000, 'c')};
  std::string all;
  for (const std::string& each : messages) all += Framed(each);
  for (const size_t step : {size_t{1}, size_t{2}, size_t{7}, size_t{16384}, all.size()}) {
    EXPECT_EQ(Read(all, step), messages);
    EXPECT_TRUE(status_.ok());
    EXPECT_FALSE(within_);
  }
}

TEST_F(MessageReaderTest, KnowsWhenItIsWithinAMessage) {
  const std::string framed = Framed("message");
  for (size_t size = 1; size < framed.size(); ++size) {
    EXPECT_TRUE(Read(framed.substr(0, size)).empty());
    EXPECT_TRUE(within_) << size;
  }
}

TEST_F(MessageReaderTest, PlacesAMessageSoThatItsFirstTensorIsAligned) {
  const std::string raw(64, 'r');
  for (size_t name = 1; name < 100; ++name) {
    const std::string framed = Framed(InferMessage(name, raw));
    MessageReader reader({.max_bytes = limit_}, false, pool_, budget_);
    std::span<const std::byte> bytes = std::as_bytes(std::span(framed.data(), framed.size()));
    const Result<std::optional<Message>> message = reader.Next(bytes);
    ASSERT_TRUE(message.ok() && *message);
    const Slice& slice = (*message)->bytes;
    EXPECT_TRUE(slice.Part(slice.size() - raw.size(), raw.size()).aligned()) << name;
  }
}

TEST_F(MessageReaderTest, ChargesWhatHasArrivedAsLongAsTheMessageIsUsed) {
  const std::string framed = Framed(std::string(200'000, 'x'));
  MessageReader reader({.max_bytes = limit_, .charged_besides = 2048}, false, pool_, budget_);
  std::span<const std::byte> half =
      std::as_bytes(std::span(framed.data(), framed.size())).first(100'005);
  ASSERT_TRUE(reader.Next(half).ok());
  EXPECT_EQ(budget_.used(), 100'000U);
  std::span<const std::byte> rest =
      std::as_bytes(std::span(framed.data(), framed.size())).subspan(100'005);
  {
    const Result<std::optional<Message>> message = reader.Next(rest);
    ASSERT_TRUE(message.ok() && *message);
    // And for what is made of it.
    EXPECT_EQ(budget_.used(), 202'048U);
  }
  EXPECT_EQ(budget_.used(), 0U);
}

TEST_F(MessageReaderTest, RefusesMessagesThatAreTooLargeBeforeTheyCome) {
  limit_ = 1000;
  EXPECT_EQ(Read(Framed(std::string(1000, 'x'))).size(), 1U);
  ExpectRefused(Framed(std::string(1001, 'x')).substr(0, 6), Code::kResourceExhausted,
                "Received message larger than max (1001 vs. 1000)");
  ExpectRefused(std::string("\0\xff\xff\xff\xff!", 6), Code::kResourceExhausted,
                "Received message larger than max (4294967295 vs. 1000)");
}

TEST_F(MessageReaderTest, RefusesWhatTheBudgetDoesNotHold) {
  Budget small(1000);
  MessageReader reader({.max_bytes = limit_}, false, pool_, small);
  const std::string framed = Framed(std::string(2000, 'x'));
  std::span<const std::byte> bytes = std::as_bytes(std::span(framed.data(), framed.size()));
  EXPECT_EQ(reader.Next(bytes).status().code(), Code::kResourceExhausted);
}

TEST_F(MessageReaderTest, RefusesFlagsThatItDoesNotKnow) {
  ExpectRefused(Framed("x", 2), Code::kInternal, "a message begins with 2, which is no flag");
  ExpectRefused(Framed("x", 1), Code::kInternal, "grpc-encoding does not say how");
}

TEST_F(MessageReaderTest, DecompressesMessagesThatSayThatTheyAreCompressed) {
  compressed_ = true;
  const std::string text(300'000, 'z');
  for (const std::string& compressed : {Compressed(text), Compressed(text, kZlibForm)}) {
    const std::string all = Framed(compressed, 1) + Framed("plain") + Framed(compressed, 1);
    for (const size_t step : {size_t{1}, size_t{100}, all.size()}) {
      EXPECT_EQ(Read(all, step), (std::vector<std::string>{text, "plain", text}));
    }
  }
}

TEST_F(MessageReaderTest, RefusesWhatCannotBeDecompressed) {
  compressed_ = true;
  ExpectRefused(Framed("no gzip", 1), Code::kInternal, "cannot be decompressed");
  const std::string half = Compressed(std::string(1000, 'x')).substr(0, 10);
  ExpectRefused(Framed(half, 1), Code::kInternal, "ends before its compressed data do");
  ExpectRefused(Framed("", 1), Code::kInternal, "nothing to be decompressed");
}

TEST_F(MessageReaderTest, ABombIsRefusedAtTheLimit) {
  compressed_ = true;
  limit_ = 100'000;
  ExpectRefused(Framed(Compressed(std::string(50 << 20, '\0')), 1), Code::kResourceExhausted,
                "larger than the limit of 100000 bytes");
  EXPECT_LT(pool_.statistics().bytes_cached, uint64_t{1} << 20);
}

TEST_F(MessageReaderTest, PromisesOfLargeMessagesCostNothing) {
  BufferPool pool;
  constexpr uint64_t kBudget = uint64_t{1} << 20;
  Budget budget(kBudget);
  // The prefix of a message of 64 MiB, and its first byte.
  const std::string begun("\0\x04\0\0\0x", 6);
  std::deque<MessageReader> readers;
  bool taken = true;
  while (taken && readers.size() < 1000) {
    MessageReader& reader =
        readers.emplace_back(MessageLimits{.max_bytes = size_t{1} << 30}, false, pool, budget);
    auto bytes = std::as_bytes(std::span(begun));
    taken = reader.Next(bytes).ok();
  }
  EXPECT_FALSE(taken);
  EXPECT_EQ(readers.size(), 1 + kBudget / (64 << 10));
}

}  // namespace
}  // namespace despina::grpc
