#include "bindings/kept_object.h"

#include <atomic>
#include <memory>

namespace despina::bindings {
namespace {

class ObjectBlock;

std::atomic<ObjectBlock*> released{nullptr};

class ObjectBlock final : public Block {
 public:
  ObjectBlock(PyObject* owner, std::byte* memory, size_t size)
      : Block(memory, size), owner_(owner) {
    Py_INCREF(owner_);
  }
  ~ObjectBlock() override { Py_DECREF(owner_); }
  ObjectBlock* next() const { return next_; }

 private:
  void Release() noexcept override {
    next_ = released.load(std::memory_order_relaxed);
    while (!released.compare_exchange_weak(next_, this, std::memory_order_release,
                                           std::memory_order_relaxed)) {
    }
  }

  PyObject* owner_;
  ObjectBlock* next_ = nullptr;
};

}  // namespace

Buffer KeepObject(PyObject* owner, std::byte* memory, size_t size) {
  return Buffer(std::make_unique<ObjectBlock>(owner, memory, size).release());
}

void DropReleased() {
  ObjectBlock* block = released.exchange(nullptr, std::memory_order_acquire);
  while (block != nullptr) {
    const std::unique_ptr<ObjectBlock> owned(block);
    block = block->next();
  }
}

bool ObjectsReleased() { return released.load(std::memory_order_relaxed) != nullptr; }

}  // namespace despina::bindings
