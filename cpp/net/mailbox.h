// The way of completed requests from the threads that ran them back to their loop.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "net/loop.h"

namespace despina::net {

// Items are linked through themselves: handing one over allocates nothing and takes no lock. The
// loop is woken by the first item of those that it takes together.
class Mailbox {
 public:
  class Item {
   public:
    // On the loop's thread. The item is not used afterwards, and may be gone.
    virtual void OnDelivered() = 0;

   protected:
    ~Item() = default;

   private:
    friend class Mailbox;
    Item* next_ = nullptr;
  };

  explicit Mailbox(std::shared_ptr<Loop> loop) : loop_(std::move(loop)) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Any thread. The item may be gone when this returns, and the mailbox as well if the caller does
  // not hold it. False when the mailbox is closed: then the item stays the caller's.
  bool Push(Item& item);
  // Delivers what is there and takes nothing more. The loop's thread.
  void Close();

 private:
  void Deliver();
  void DeliverAll(Item* newest);
  // Stands in the list's head once the mailbox is closed.
  Item* closed() { return reinterpret_cast<Item*>(this); }

  const std::shared_ptr<Loop> loop_;
  // The newest first.
  std::atomic<Item*> newest_{nullptr};
};

}  // namespace despina::net
