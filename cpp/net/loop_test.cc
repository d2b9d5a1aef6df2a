#include "net/loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <ctime>
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

// The processor's time that this thread has taken.
milliseconds ThreadTime() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return milliseconds(time.tv_sec * 1000 + time.tv_nsec / 1'000'000);
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

// Reads, as it says, so much each time.
class Reader final : public Watcher {
 public:
  Reader(Loop& loop, Descriptor descriptor, size_t bytes, std::string& order, EndOfTurn& end)
      : watch(loop, std::move(descriptor)), loop_(loop), bytes_(bytes), order_(order), end_(end) {}
  void OnReadable() override {
    order_ += 'r';
    loop_.CountRead(bytes_);
    end_.Schedule();
  }
  void OnWritable() override {}

  Watch watch;

 private:
  Loop& loop_;
  const size_t bytes_;
  std::string& order_;
  EndOfTurn& end_;
};

// What the ends of turns are between when three descriptors are ready at once.
std::string OrderOfReads(size_t bytes) {
  Loop loop;
  std::string order;
  EndOfTurn end(loop, [&] { order += '|'; });
  std::vector<Descriptor> theirs;
  std::vector<std::shared_ptr<Reader>> readers;
  for (int i = 0; i < 3; ++i) {
    auto [here, there] = Pair();
    EXPECT_EQ(::send(there.get(), "x", 1, 0), 1);
    readers.push_back(std::make_shared<Reader>(loop, std::move(here), bytes, order, end));
    readers.back()->watch.WaitReadable(readers.back());
    theirs.push_back(std::move(there));
  }
  loop.Finish();
  loop.Run();
  return order;
}

TEST(LoopTest, ATurnThatHasReadMuchEndsBeforeTheOtherEvents) {
  EXPECT_EQ(OrderOfReads(1), "rrr|");
  EXPECT_EQ(OrderOfReads(size_t{1} << 20), "r|r|r|");
}

// Makes the next one ready.
class Relay final : public Watcher {
 public:
  Relay(Loop& loop, Descriptor descriptor, int next, std::string& order, EndOfTurn& end)
      : watch(loop, std::move(descriptor)), next_(next), order_(order), end_(end) {}
  void OnReadable() override {
    order_ += 'r';
    if (next_ >= 0) {
      EXPECT_EQ(::send(next_, "x", 1, 0), 1);
    }
    end_.Schedule();
  }
  void OnWritable() override {}

  Watch watch;

 private:
  const int next_;
  std::string& order_;
  EndOfTurn& end_;
};

TEST(LoopTest, ATurnTakesAlongWhatBecameReadyDuringItButOnlyOnce) {
  Loop loop;
  std::string order;
  EndOfTurn end(loop, [&] { order += '|'; });
  std::vector<Descriptor> theirs;
  std::vector<std::shared_ptr<Relay>> relays;
  int next = -1;
  for (int i = 0; i < 4; ++i) {
    auto [here, there] = Pair();
    relays.push_back(std::make_shared<Relay>(loop, std::move(here), next, order, end));
    relays.back()->watch.WaitReadable(relays.back());
    next = there.get();
    theirs.push_back(std::move(there));
  }
  ASSERT_EQ(::send(next, "x", 1, 0), 1);
  loop.Finish();
  loop.Run();
  EXPECT_EQ(order, "rr|rr|");
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
  ASSERT_EQ(::send(there.get(), "x", 1, 0), 1);
  recorder->watch.Close();
  EXPECT_FALSE(recorder->watch.open());
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

// The first that is told closes and destroys the others, whose events have come already.
TEST(LoopTest, TellsNothingToAWatchThatWasClosedInTheSameTurn) {
  class Closer final : public Watcher {
   public:
    Closer(Loop& loop, Descriptor descriptor, std::vector<std::shared_ptr<Closer>>& all)
        : watch(loop, std::move(descriptor)), all_(all) {}
    void OnReadable() override {
      ++told;
      for (const auto& each : all_) each->watch.Close();
      all_.clear();
    }
    void OnWritable() override {}

    Watch watch;
    int told = 0;

   private:
    std::vector<std::shared_ptr<Closer>>& all_;
  };
  Loop loop;
  std::vector<Descriptor> ends;
  std::vector<std::shared_ptr<Closer>> all;
  for (int i = 0; i < 3; ++i) {
    auto [here, there] = Pair();
    all.push_back(std::make_shared<Closer>(loop, std::move(here), all));
    all.back()->watch.WaitReadable(all.back());
    ASSERT_EQ(::send(there.get(), "x", 1, 0), 1);
    ends.push_back(std::move(there));
  }
  const std::vector<std::weak_ptr<Closer>> weak(all.begin(), all.end());
  loop.Finish();
  loop.Run();
  for (const auto& each : weak) EXPECT_TRUE(each.expired());
}

// What nobody waits for must not keep the loop busy: it is looked at again when somebody does.
TEST(LoopTest, SleepsOverADescriptorThatNobodyWaitsFor) {
  Loop loop;
  auto [unread, writer] = Pair();
  auto [broken, gone] = Pair();
  const auto reader = std::make_shared<Recorder>(loop, std::move(unread));
  const auto failed = std::make_shared<Recorder>(loop, std::move(broken));
  ASSERT_EQ(::send(writer.get(), "x", 1, 0), 1);
  gone = Descriptor();
  Timer late(loop, [&] {
    reader->watch.WaitReadable(reader);
    failed->watch.WaitWritable(failed);
    loop.Finish();
  });
  late.Start(milliseconds(100));
  const milliseconds before = ThreadTime();
  loop.Run();
  EXPECT_LT(ThreadTime() - before, milliseconds(50));
  EXPECT_EQ(reader->readable, 1);
  EXPECT_EQ(failed->writable, 1);
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
