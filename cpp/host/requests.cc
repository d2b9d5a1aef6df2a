#include "host/requests.h"

#include <mutex>
#include <utility>

#include "base/text.h"
#include "host/translate.h"

namespace despina::host {
namespace {

using State = despina_request::State;

Result<Elements> ElementsOf(const Tensor& tensor) {
  Elements elements;
  BytesReader reader(tensor.data.bytes());
  while (const auto element = reader.Next()) {
    elements.push_back({reinterpret_cast<const char*>(element->data()), element->size()});
  }
  if (reader.ok()) return elements;
  return Internal("a BYTES tensor ends within an element");
}

}  // namespace

Result<despina_tensor> ElementsOfInputs::View(uint32_t input, const Tensor& tensor) {
  despina_tensor view = ToAbi(tensor);
  if (tensor.datatype != DataType::kBytes) return view;
  if (input >= inputs_.size()) inputs_.resize(input + 1);
  if (!inputs_[input]) {
    Result<Elements> elements = ElementsOf(tensor);
    if (!elements.ok()) return elements.status();
    inputs_[input] = *std::move(elements);
  }
  view.data = inputs_[input]->data();
  view.byte_size = inputs_[input]->size() * sizeof(despina_str);
  return view;
}

despina_batch* Requests::Begin(Batch& batch) {
  if (!places_known_) Know(batch.definition());
  allocator_ = &batch.allocator();
  batch_.batch = &batch;
  const std::lock_guard lock(mutex_);
  FreeEnded();
  for (size_t i = 0; i < batch.size(); ++i) {
    despina_request* handle = Take();
    handle->index = i;
    handle->request.store(&batch.request(i), std::memory_order_release);
    handle->state.store(State::kAttached, std::memory_order_release);
    batch_.handles.push_back(handle);
  }
  return &batch_;
}

void Requests::Know(const ModelDefinition& definition) {
  places_known_ = true;
  for (const TensorDefinition& each : inputs_) {
    input_places_.push_back(definition.FindInput(each.name));
  }
  for (const TensorDefinition& each : outputs_) {
    output_places_.push_back(definition.FindOutput(each.name));
  }
}

void Requests::End() {
  for (despina_request* handle : batch_.handles) {
    // One that was detached belongs to whoever completes it.
    const State state = handle->state.load(std::memory_order_acquire);
    if (state != State::kAttached && state != State::kAnswered) continue;
    Forget(*handle);
    handle->unwanted.clear();
    handle->state.store(State::kAnswered, std::memory_order_release);
    ended_.push_back(handle);
  }
  batch_.handles.clear();
  batch_.elements.Clear();
  batch_.unwanted.clear();
  batch_.batch = nullptr;
}

void Requests::FreeEnded() {
  for (despina_request* handle : ended_) Free(*handle);
  ended_.clear();
}

despina_request* Requests::Take() {
  if (free_.empty()) return &places_.emplace_back(*this);
  despina_request* handle = free_.front();
  free_.pop_front();
  return handle;
}

void Requests::Forget(despina_request& handle) {
  handle.request.store(nullptr, std::memory_order_release);
  handle.elements.Clear();
}

void Requests::Free(despina_request& handle) {
  handle.state.store(State::kFree, std::memory_order_release);
  if (handle.cancelling == 0) free_.push_back(&handle);
}

despina_request* Requests::Pin(const Request& request) {
  const std::lock_guard lock(mutex_);
  for (despina_request& handle : places_) {
    if (handle.request.load(std::memory_order_acquire) != &request) continue;
    ++handle.cancelling;
    return &handle;
  }
  return nullptr;
}

void Requests::Unpin(despina_request& handle) {
  const std::lock_guard lock(mutex_);
  if (--handle.cancelling > 0) return;
  if (handle.state.load(std::memory_order_acquire) == State::kFree) free_.push_back(&handle);
}

void Requests::KeepUnwanted(uint32_t output, const Slice& memory) {
  bool any_unanswered = false;
  for (despina_request* handle : batch_.handles) {
    if (BatchOf(*handle) == nullptr) continue;
    any_unanswered = true;
    const Request& request = batch_.batch->request(handle->index);
    if (!request.Wants(output)) handle->unwanted.push_back(memory);
  }
  if (!any_unanswered) batch_.unwanted.push_back(memory);
}

Status Requests::Detach(despina_request& handle) {
  if (!declares(DESPINA_ASYNC)) {
    return {Code::kUnimplemented,
            Concat(label_,
                   ": its backend does not declare DESPINA_ASYNC, and may not detach "
                   "requests")};
  }
  Batch* batch = BatchOf(handle);
  if (batch == nullptr) {
    return {Code::kFailedPrecondition, "the request is not in a batch that is being executed"};
  }
  handle.detached.emplace(batch->Detach(handle.index));
  handle.state.store(State::kDetached, std::memory_order_release);
  return Ok();
}

void Requests::Answer(despina_request& handle, const Status& status) {
  Batch* batch = BatchOf(handle);
  if (batch == nullptr) return;
  handle.unwanted.clear();
  // Before it is given back: then its maker may destroy it.
  handle.request.store(nullptr, std::memory_order_release);
  handle.state.store(State::kAnswered, std::memory_order_release);
  batch->Complete(handle.index, status);
}

bool Requests::Complete(despina_request& handle, Status status) {
  if (Batch* batch = BatchOf(handle)) {
    Answer(handle, status);
    batch->Deliver();
    return true;
  }
  std::optional<DetachedRequest> detached;
  // Given back without the lock.
  std::vector<Slice> unwanted;
  {
    const std::lock_guard lock(mutex_);
    if (handle.state.load(std::memory_order_acquire) != State::kDetached) return false;
    detached.emplace(*std::move(handle.detached));
    handle.detached.reset();
    unwanted.swap(handle.unwanted);
    Forget(handle);
    Free(handle);
  }
  detached->Complete(std::move(status));
  return true;
}

}  // namespace despina::host
