#include "net/connecting.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/listener.h"
#include "net/testing/echo.h"

namespace despina::net {
namespace {

using testing::ConnectionTest;
using testing::EchoProtocol;

// Sends a text, and closes when it has come back.
class AskingProtocol final : public Protocol {
 public:
  void OnOpened(Transport&) override { piece_ = std::as_bytes(std::span("hello", 5)); }
  void OnClosed() override {}
  std::span<std::byte> ReadSpace() override { return space_; }
  void OnRead(size_t size) override {
    heard.append(reinterpret_cast<const char*>(space_.data()), size);
  }
  std::span<const std::span<const std::byte>> Output() override {
    return piece_.empty() ? std::span<const std::span<const std::byte>>() : std::span(&piece_, 1);
  }
  void OnWritten(size_t size) override { piece_ = piece_.subspan(size); }
  Phase phase() const override { return heard == "hello" ? Phase::kDone : Phase::kOpen; }
  TimePoint deadline() const override { return TimePoint::max(); }
  void OnDeadline() override {}
  void OnStopping() override {}

  std::string heard;

 private:
  std::span<const std::byte> piece_;
  std::vector<std::byte> space_ = std::vector<std::byte>(100);
};

class ConnectingTest : public ConnectionTest {
 protected:
  // The protocol's connection to that port; runs the loop until it has gone.
  void Talk(const std::shared_ptr<AskingProtocol>& protocol, const std::string& host,
            uint16_t port) {
    const auto to = Endpoint::Resolve(host, port);
    ASSERT_TRUE(to.ok()) << to.status().message();
    auto connecting = Connect(*to, [this](const std::string& why) { failure_ = why; });
    ASSERT_TRUE(connecting.ok()) << connecting.status().message();
    connections_.Add(*std::move(connecting), protocol);
    Run();
  }

  std::string failure_;
};

TEST_F(ConnectingTest, TalksToWhoListens) {
  for (const char* host : {"127.0.0.1", "localhost"}) {
    auto listening = Listen("127.0.0.1", 0, 1);
    ASSERT_TRUE(listening.ok());
    const uint16_t port = (*listening)[0].port;
    Listener listener(loop_, std::move((*listening)[0].descriptor), [&](Descriptor accepted) {
      const int number = accepted.get();
      connections_.Add({std::move(accepted), std::make_unique<PlainStream>(number)},
                       std::make_shared<EchoProtocol>());
      listener.Close();
    });
    listener.Start();
    const auto asking = std::make_shared<AskingProtocol>();
    Talk(asking, host, port);
    EXPECT_EQ(asking->heard, "hello");
    EXPECT_EQ(failure_, "");
  }
}

TEST_F(ConnectingTest, SaysWhyNobodyAnswers) {
  auto listening = Listen("127.0.0.1", 0, 1);
  ASSERT_TRUE(listening.ok());
  const uint16_t port = (*listening)[0].port;
  listening->clear();
  const auto asking = std::make_shared<AskingProtocol>();
  Talk(asking, "127.0.0.1", port);
  EXPECT_EQ(failure_, "Connection refused");
  EXPECT_EQ(asking->heard, "");
}

TEST(Endpoint, IsWrittenAsInUrls) {
  EXPECT_EQ(Endpoint::Resolve("127.0.0.1", 80)->text(), "127.0.0.1:80");
  EXPECT_EQ(Endpoint::Resolve("::1", 80)->text(), "[::1]:80");
}

TEST(Endpoint, IsRefusedForANameThatNobodyHas) {
  const auto found = Endpoint::Resolve("no such host", 80);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().message().substr(0, 14), "no such host: ");
}

}  // namespace
}  // namespace despina::net
