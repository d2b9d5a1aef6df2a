// A value that few replace and many read, without a lock on the readers' way.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace despina {

template <class T>
class Published {
 public:
  explicit Published(std::shared_ptr<const T> first) : value_(std::move(first)) {}

  // Any thread.
  void Publish(std::shared_ptr<const T> next) {
    std::lock_guard lock(mutex_);
    value_.swap(next);
    version_.fetch_add(1, std::memory_order_release);
  }

  // Any thread; takes the lock.
  std::shared_ptr<const T> Get() const {
    std::lock_guard lock(mutex_);
    return value_;
  }

  // One thread's view: takes the lock only when the value has changed since it last looked.
  class Reader {
   public:
    explicit Reader(const Published& source) : source_(source) {}
    const T& Get() {
      const uint64_t version = source_.version_.load(std::memory_order_acquire);
      if (version != version_ || !value_) {
        value_ = source_.Get();
        version_ = version;
      }
      return *value_;
    }

   private:
    const Published& source_;
    uint64_t version_ = 0;
    std::shared_ptr<const T> value_;
  };

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
  std::atomic<uint64_t> version_{0};
};

}  // namespace despina
