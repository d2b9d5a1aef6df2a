#include "net/mailbox.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "base/thread.h"

namespace despina::net {
namespace {

struct Note final : Mailbox::Item {
  Note(std::vector<const Note*>& the_delivered, int the_number)
      : delivered(the_delivered), number(the_number) {}
  void OnDelivered() override { delivered.push_back(this); }

  std::vector<const Note*>& delivered;
  const int number;
};

class MailboxTest : public ::testing::Test {
 protected:
  // Runs the loop until everything that was posted has been done.
  void RunAll() {
    loop_->Finish();
    loop_->Run();
  }

  std::shared_ptr<Loop> loop_ = std::make_shared<Loop>();
  Mailbox mailbox_{loop_};
  std::vector<const Note*> delivered_;
};

TEST_F(MailboxTest, DeliversInOrder) {
  std::deque<Note> notes;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(mailbox_.Push(notes.emplace_back(delivered_, i)));
  EXPECT_TRUE(delivered_.empty());
  RunAll();
  ASSERT_EQ(delivered_.size(), notes.size());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(delivered_[i]->number, i);
}

TEST_F(MailboxTest, LosesNothingThatManyThreadsPush) {
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  Thread loop_thread("loop", [this] { loop_->Run(); });
  std::deque<std::deque<Note>> notes(kThreads);
  std::vector<std::thread> threads;
  for (std::deque<Note>& mine : notes) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) mailbox_.Push(mine.emplace_back(delivered_, i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  loop_->Finish();
  loop_thread.Join();
  EXPECT_EQ(delivered_.size(), static_cast<size_t>(kThreads * kEach));
}

TEST_F(MailboxTest, DeliversWhatIsThereWhenItIsClosedAndTakesNothingMore) {
  Note first(delivered_, 1);
  Note second(delivered_, 2);
  EXPECT_TRUE(mailbox_.Push(first));
  mailbox_.Close();
  EXPECT_EQ(delivered_, std::vector<const Note*>{&first});
  EXPECT_FALSE(mailbox_.Push(second));
  mailbox_.Close();
  RunAll();
  EXPECT_EQ(delivered_.size(), 1U);
}

}  // namespace
}  // namespace despina::net
