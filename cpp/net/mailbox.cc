#include "net/mailbox.h"

#include <utility>

namespace despina::net {

bool Mailbox::Push(Item& item) {
  // Acquires: who finds it closed destroys what the loop had in hand.
  Item* newest = newest_.load(std::memory_order_acquire);
  do {
    if (newest == closed()) return false;
    item.next_ = newest;
  } while (!newest_.compare_exchange_weak(newest, &item, std::memory_order_release,
                                          std::memory_order_acquire));
  // Whoever finds it empty wakes the loop: the others' items will be taken with this one. The loop
  // empties the list before it looks at the items, so none is left behind.
  if (newest == nullptr) loop_->Post([this] { Deliver(); });
  return true;
}

void Mailbox::Deliver() {
  Item* newest = newest_.load(std::memory_order_relaxed);
  if (newest == closed()) return;
  DeliverAll(newest_.exchange(nullptr, std::memory_order_acquire));
}

void Mailbox::Close() {
  Item* newest = newest_.exchange(closed(), std::memory_order_acq_rel);
  if (newest != closed()) DeliverAll(newest);
}

void Mailbox::DeliverAll(Item* newest) {
  Item* oldest = nullptr;
  while (newest != nullptr) {
    Item* next = std::exchange(newest->next_, oldest);
    oldest = std::exchange(newest, next);
  }
  while (oldest != nullptr) std::exchange(oldest, oldest->next_)->OnDelivered();
}

}  // namespace despina::net
