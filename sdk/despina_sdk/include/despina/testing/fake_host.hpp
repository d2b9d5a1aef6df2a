// A host for tests of a backend in C++, without a server. Header only, C++17.
//
//   despina::testing::Library library("libdespina_twice.so");   // or the entry, linked in
//   despina::testing::Backend backend(library);
//   despina::testing::Model model(backend, description);
//   despina::testing::Instance instance(model);
//   despina::testing::FakeRequest request;
//   request.inputs[0] = despina::testing::Array::Of<float>({1, 2}, {1, 2});
//   instance.Execute({&request});
//   assert(request.Wait() && request.code == DESPINA_OK);
//   assert(request.answer[0].values<float>() == std::vector<float>({2, 4}));
//
// Each tensor lies in memory of its own, of the size that it has, so that the address sanitizer
// sees what is read or written beside it. What a backend does against the rules is in
// State::Get().errors. Objects are made, used and destroyed in the order above.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "despina/abi.h"
#include "despina/backend.hpp"

namespace despina::testing {

// A tensor's elements: numbers in `bytes`, or `texts`.
struct Array {
  Datatype datatype{};
  std::vector<int64_t> shape;
  std::vector<unsigned char> bytes;
  std::vector<std::string> texts;

  template <class T>
  static Array Of(std::vector<int64_t> shape, const std::vector<T>& values) {
    Array array{DatatypeOf<T>(), std::move(shape), {}, {}};
    array.bytes.resize(values.size() * sizeof(T));
    if (!values.empty()) std::memcpy(array.bytes.data(), values.data(), array.bytes.size());
    return array;
  }
  template <class T>
  std::vector<T> values() const {
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }
};

// By the outputs' places in the signature.
using Outputs = std::map<uint32_t, Array>;

// What the host knows of all backends in the process.
struct State {
  static State& Get() {
    static State state;
    return state;
  }
  void Note(const std::string& error) {
    const std::lock_guard<std::mutex> lock(mutex);
    errors.push_back(error);
  }

  std::atomic<uint64_t> given{0};     // tensors that the host has taken over
  std::atomic<uint64_t> released{0};  // of those
  std::mutex mutex;                   // of what follows
  std::vector<std::string> errors;    // what was done against the rules
  std::map<std::string, double> metrics;
};

namespace detail {

// Of exactly so many bytes, aligned as the server's.
class Memory {
 public:
  explicit Memory(size_t size) : size_(size) {
    if (posix_memalign(&data_, 64, size) != 0) throw std::bad_alloc();
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { std::free(data_); }
  unsigned char* data() const { return static_cast<unsigned char*>(data_); }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_;
};

// An input as it is lent.
class Lent {
 public:
  explicit Lent(const Array& array)
      : shape_(array.shape),
        datatype_(array.datatype),
        memory_(array.datatype == BYTES ? array.texts.size() * sizeof(despina_str)
                                        : array.bytes.size()) {
    if (datatype_ != BYTES) {
      if (!array.bytes.empty()) std::memcpy(memory_.data(), array.bytes.data(), memory_.size());
      return;
    }
    auto* elements = reinterpret_cast<despina_str*>(memory_.data());
    for (size_t i = 0; i < array.texts.size(); ++i) {
      const std::string& text = array.texts[i];
      texts_.push_back(std::make_unique<Memory>(text.size()));
      std::memcpy(texts_.back()->data(), text.data(), text.size());
      elements[i] = {reinterpret_cast<const char*>(texts_.back()->data()), text.size()};
    }
  }
  despina_tensor view() const {
    return {memory_.data(), shape_.data(),           static_cast<int32_t>(shape_.size()),
            datatype_,      {DESPINA_DEVICE_CPU, 0}, memory_.size()};
  }

 private:
  const std::vector<int64_t> shape_;
  const Datatype datatype_;
  const Memory memory_;
  std::vector<std::unique_ptr<Memory>> texts_;
};

// A tensor that the host has taken over, released when nobody refers to it any more.
class Given {
 public:
  explicit Given(const despina_tensor_owned& owned) : owned_(owned) { ++State::Get().given; }
  Given(const Given&) = delete;
  Given& operator=(const Given&) = delete;
  ~Given() {
    owned_.release(&owned_);
    ++State::Get().released;
  }

 private:
  despina_tensor_owned owned_;
};

// Elements of an answer that is not sent yet, where they lie; texts are copied.
struct Output {
  std::shared_ptr<const void> owner;
  const unsigned char* data = nullptr;
  size_t size = 0;
  Array array;

  Array Read() const {
    Array read = array;
    if (read.datatype != BYTES && size > 0) read.bytes.assign(data, data + size);
    return read;
  }
};

// What a backend is refused, and should not have asked for.
inline Error Refused(despina_code code, const std::string& what) {
  State::Get().Note(what);
  return {code, what};
}

}  // namespace detail

// A request, and its answer. What is set before Execute() stays as it is until the answer is there.
struct FakeRequest {
  std::string id = "request";
  std::map<uint32_t, Array> inputs;  // by their places; with the batch axis
  std::vector<std::pair<std::string, std::string>> parameters;
  uint64_t rows = 1;
  // How often memory for an output is given, or an output is taken, before that is refused.
  uint64_t outputs_until_starved = UINT64_MAX;
  std::atomic<bool> cancelled{false};

  std::vector<Outputs> parts;
  Outputs answer;
  std::map<std::string, despina_parameter> answer_parameters;  // without their texts
  despina_code code = DESPINA_UNKNOWN;
  std::string message;

  // Whether it is answered, after so long at most.
  bool Wait(std::chrono::milliseconds timeout = std::chrono::seconds(10)) {
    std::unique_lock<std::mutex> lock(mutex);
    return changed.wait_for(lock, timeout, [this] { return answered; });
  }

  // The host's. Parts and the answer are written with the lock, as they may be waited for.
  std::mutex mutex;
  std::condition_variable changed;
  bool answered = false;
  bool detached = false;
  int cancelling = 0;                  // calls that tell the backend of its cancellation
  class Instance* instance = nullptr;  // while it is the backend's
  std::map<uint32_t, std::shared_ptr<detail::Lent>> lent;
  std::map<uint32_t, detail::Output> outputs;
};

// A model's configuration.
struct ModelDescription {
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  std::string name = "model";
  std::string version = "1";
  std::string path;
  std::string config = "{}";
  int32_t max_batch_size = 0;
  bool decoupled = false;
  Pairs parameters;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
};

// A backend's table.
class Library {
 public:
  explicit Library(const std::string& path) {
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) throw Error(DESPINA_NOT_FOUND, dlerror());
    auto entry =
        reinterpret_cast<despina_backend_entry_function>(dlsym(handle, DESPINA_BACKEND_ENTRY));
    if (entry == nullptr) throw Error(DESPINA_NOT_FOUND, path + " has no entry");
    ShakeHands(entry);
  }
  explicit Library(despina_backend_entry_function entry) { ShakeHands(entry); }
  const despina_backend_api& api() const { return api_; }

 private:
  inline void ShakeHands(despina_backend_entry_function entry);
  despina_backend_api api_{};
};

class Backend {
 public:
  explicit Backend(const Library& library, const ModelDescription::Pairs& options = {});
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  ~Backend() { api.backend_destroy(handle); }

  const despina_backend_api& api;
  despina_backend* handle = nullptr;
};

class Model {
 public:
  Model(Backend& backend, ModelDescription description);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  ~Model() { api.model_unload(handle); }

  const despina_backend_api& api;
  const ModelDescription description;
  Signature signature;  // with max_batch_size and decoupled as they are in the end
  despina_model* handle = nullptr;

 private:
  const std::vector<despina_tensor_spec> inputs_;
  const std::vector<despina_tensor_spec> outputs_;
  std::vector<despina_pair> parameters_;
  despina_model_spec spec_{};
};

// One lane of a model. One thread at a time, except for Cancel().
class Instance {
 public:
  explicit Instance(Model& model, uint32_t ordinal = 0);
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  ~Instance() { model.api.instance_destroy(handle); }

  // Returns when execute() has; detached requests are answered later: FakeRequest::Wait().
  void Execute(const std::vector<FakeRequest*>& requests);
  // Nobody waits for the answer any more. Any thread.
  void Cancel(FakeRequest& request) {
    request.cancelled = true;
    if (!DESPINA_HAS(&model.api, request_cancelled)) return;
    {
      const std::lock_guard<std::mutex> lock(request.mutex);
      if (request.answered || request.instance == nullptr) return;
      ++request.cancelling;
    }
    model.api.request_cancelled(handle, reinterpret_cast<despina_request*>(&request));
    const std::lock_guard<std::mutex> lock(request.mutex);
    if (--request.cancelling == 0 && request.answered) request.lent.clear();
  }

  Model& model;
  despina_instance* handle = nullptr;
};

}  // namespace despina::testing

#include "despina/testing/fake_host_api.hpp"
