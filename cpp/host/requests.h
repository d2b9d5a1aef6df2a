// The requests of one instance, as its backend sees them through the C interface.
#pragma once

#include <despina/abi.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/brief_mutex.h"
#include "base/status.h"
#include "engine/batch.h"

namespace despina::host {

// The elements of a BYTES tensor, over the memory that it lies in.
using Elements = std::vector<despina_str>;

// Made when asked for, one per input.
class ElementsOfInputs {
 public:
  Result<despina_tensor> View(uint32_t input, const Tensor& tensor);
  void Clear() { inputs_.clear(); }

 private:
  std::vector<std::optional<Elements>> inputs_;
};

class Requests;

}  // namespace despina::host

// One request. Its place is used again after it was answered, but never given back to the system
// while the instance lives, so that a backend that uses it too long is told so.
struct despina_request {
  // Changed under the owner's mutex, except that an attached request is answered, and detached, on
  // the thread of its batch alone. Here and in `request`, whoever must see a change learns of it
  // through something that synchronises; a total order of all changes is not needed, and would cost
  // a locked instruction each.
  enum class State : uint8_t { kFree, kAttached, kAnswered, kDetached };

  explicit despina_request(despina::host::Requests& its_owner) : owner(its_owner) {}

  despina::host::Requests& owner;
  std::atomic<State> state{State::kFree};
  // Calls of the backend's that tell it of the cancellation: the place is not used again until
  // they have returned. Guarded by the owner's mutex.
  size_t cancelling = 0;
  // In the batch, while it is attached.
  size_t index = 0;
  // As long as it is not answered.
  std::atomic<const despina::Request*> request{nullptr};
  std::optional<despina::DetachedRequest> detached;
  despina::host::ElementsOfInputs elements;
  // Memory for outputs that it does not want, which the backend writes all the same: until it is
  // answered, or the part is sent.
  std::vector<despina::Slice> unwanted;
};

// The requests of one execute().
struct despina_batch {
  // Null when none is running.
  despina::Batch* batch = nullptr;
  despina::host::Requests* requests = nullptr;
  std::vector<despina_request*> handles;
  despina::host::ElementsOfInputs elements;
  // Memory for outputs of a batch whose requests have all been answered.
  std::vector<despina::Slice> unwanted;
};

namespace despina::host {

// What an instance has at work. Begin() and End() on its thread, the others as the interface says.
class Requests {
 public:
  // `inputs` and `outputs`: those of the backend's signature, whose places it uses.
  Requests(uint64_t capabilities, std::string label, std::span<const TensorDefinition> inputs,
           std::span<const TensorDefinition> outputs)
      : capabilities_(capabilities), label_(std::move(label)), inputs_(inputs), outputs_(outputs) {
    batch_.requests = this;
  }
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  // The batch's requests, until End().
  despina_batch* Begin(Batch& batch);
  void End();

  bool declares(uint64_t capability) const { return (capabilities_ & capability) != 0; }
  // Which instance of which model, for the log.
  const std::string& label() const { return label_; }
  // Precondition of the following: Begin() has been called.
  Allocator& allocator() const { return *allocator_; }
  // The places in the definition of what the backend calls its i-th input and output; the
  // configuration may list them in another order, and leave out optional inputs.
  std::optional<uint32_t> InputAt(uint32_t i) const { return At(input_places_, i); }
  std::optional<uint32_t> OutputAt(uint32_t i) const { return At(output_places_, i); }

  // Calls `tell` for the request, unless it has been answered.
  template <class Tell>
  void TellCancelled(const Request& request, Tell tell) {
    despina_request* handle = Pin(request);
    if (handle == nullptr) return;
    tell(handle);
    Unpin(*handle);
  }

  // Keeps memory for an output of the batch, as long as the backend may write it, for the requests
  // that do not want it: nobody else does.
  void KeepUnwanted(uint32_t output, const Slice& memory);
  Status Detach(despina_request& handle);
  // Answers it, and gives it back at once. False when that has happened before.
  bool Complete(despina_request& handle, Status status);
  // Answers it if it is still in the batch; given back when the batch ends.
  void Answer(despina_request& handle, const Status& status);

  // The batch that a request still belongs to; null when it does not.
  Batch* BatchOf(const despina_request& handle) const {
    return handle.state.load(std::memory_order_acquire) == despina_request::State::kAttached
               ? batch_.batch
               : nullptr;
  }

 private:
  using Places = std::vector<std::optional<uint32_t>>;
  static std::optional<uint32_t> At(const Places& places, uint32_t i) {
    return i < places.size() ? places[i] : std::nullopt;
  }

  void Know(const ModelDefinition& definition);
  despina_request* Take();
  // Lets go of what belongs to the request that has the place.
  static void Forget(despina_request& handle);
  // With mutex_ held.
  void FreeEnded();
  void Free(despina_request& handle);
  despina_request* Pin(const Request& request);
  void Unpin(despina_request& handle);

  const uint64_t capabilities_;
  const std::string label_;
  const std::span<const TensorDefinition> inputs_;
  const std::span<const TensorDefinition> outputs_;
  Places input_places_;
  Places output_places_;
  bool places_known_ = false;
  Allocator* allocator_ = nullptr;
  despina_batch batch_;
  // Those of the last batch: their places are free when the next begins, which takes the mutex once
  // for both. The instance's thread only.
  std::vector<despina_request*> ended_;
  BriefMutex mutex_;
  // Guarded by mutex_: all places, and those that are free, the one longest free first.
  std::deque<despina_request> places_;
  std::deque<despina_request*> free_;
};

}  // namespace despina::host
