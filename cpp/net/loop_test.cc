#include "net/loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "base/thread.h"

namespace despina::net {
namespace {

using std::chrono::milliseconds;

std::array<Descriptor, 2> Pair() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

class Recorder final : public Watcher {
 public:
  Recorder(Loop& loop, Descriptor descriptor) : watch(loop, std::move(descriptor)) {}
  void OnReadable() override { ++readable; }
  void OnWritable() override { ++writable; }

  Watch watch;
  int readable = 0;
  int writable = 0;
};

TEST(LoopTest, RunsWhatWasPostedInOrderAndReturnsWhenItIsFinished) {
  Loop loop;
  std::vector<int> order;
  std::thread other([&] {
    for (int i = 0; i < 100; ++i) loop.Post([&order, i] { order.push_back(i); });
    loop.Finish();
  });
  loop.Run();
  other.join();
  ASSERT_EQ(order.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(LoopTest, RunsTheEndOfATurnOnceAfterAllThatWasReady) {
  Loop loop;
  std::string order;
  EndOfTurn end(loop, [&] { order += '|'; });
  for (const char c : {'a', 'b', 'c'}) {
    loop.Post([&, c] {
      order += c;
      end.Schedule();
      end.Schedule();
      if (c == 'a') loop.Post([&] { order += 'd'; });
    });
  }
  loop.Finish();
  loop.Run();
  EXPECT_EQ(order, "abc|d");
}

TEST(LoopTest, TellsAWatcherOncePerWait) {
  Loop loop;
  auto [here, there] = Pair();
  const auto recorder = std::make_shared<Recorder>(loop, std::move(here));
  recorder->watch.WaitReadable(recorder);
  recorder->watch.WaitReadable(recorder);
  recorder->watch.WaitWritable(recorder);
  ASSERT_EQ(::send(there.get(), "x", 1, 0), 1);
  loop.Finish();
  loop.Run();
  EXPECT_EQ(recorder->readable, 1);
  EXPECT_EQ(recorder->writable, 1);
}

TEST(LoopTest, DropsTheWaitsOfAWatchThatIsClosed) {
  Loop loop;
  auto [here, there] = Pair();
  auto recorder = std::make_shared<Recorder>(loop, std::move(here));
  const std::weak_ptr<Recorder> weak = recorder;
  recorder->watch.WaitReadable(recorder);
  // Ready, and closed before it is told.
  ASSERT_EQ(::send(there.get(), "x", 1, 0), 1);
  loop.Post([&] {
    recorder->watch.Close();
    EXPECT_FALSE(recorder->watch.open());
  });
  loop.Finish();
  loop.Run();
  EXPECT_EQ(recorder->readable, 0);
  recorder.reset();
  EXPECT_TRUE(weak.expired());
  // The other end sees it: a reset, since not all had been read.
  char byte = 0;
  EXPECT_EQ(::recv(there.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST(LoopTest, CallsATimerAfterItsDelayUnlessItIsStopped) {
  Loop loop;
  int stopped_fired = 0;
  int fired = 0;
  const TimePoint start = Clock::System().Now();
  Timer stopped(loop, [&] { ++stopped_fired; });
  Timer restarted(loop, [&] { ++fired; });
  stopped.Start(milliseconds(1));
  restarted.Start(milliseconds(1));
  restarted.Start(milliseconds(20));
  stopped.Stop();
  loop.Finish();
  loop.Run();
  EXPECT_EQ(stopped_fired, 0);
  EXPECT_EQ(fired, 1);
  EXPECT_GE(Clock::System().Now() - start, milliseconds(20));
}

}  // namespace
}  // namespace despina::net
