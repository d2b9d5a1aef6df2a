// A backend that doubles its input, and breaks the promise that the name of its file says:
// libdespina_AnswersTwice.so answers twice. One build for all of them, copied under their names;
// test_native_conformance_catches.py knows which test catches which.
#include <dlfcn.h>
#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <despina/backend.hpp>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using despina::Error;
using std::chrono::milliseconds;

const std::string& Fault() {
  static const std::string fault = [] {
    Dl_info info{};
    dladdr(reinterpret_cast<const void*>(&Fault), &info);
    const std::string path = info.dli_fname;
    const size_t begin = path.rfind("libdespina_") + std::strlen("libdespina_");
    return path.substr(begin, path.rfind(".so") - begin);
  }();
  return fault;
}
bool Is(const char* fault) { return Fault() == fault; }

[[noreturn]] void SleepForEver() {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

int models = 0;         // loaded now
bool unloaded = false;  // one was
bool ended = false;     // with another

struct Model {
  explicit Model(const despina::ModelSpec&) {
    if (Is("ThrowsInLoad")) throw Error(DESPINA_NOT_FOUND, "weights.bin");
    if (Is("LoadsOnce") && unloaded) throw Error(DESPINA_INTERNAL, "has unloaded before");
    if (Is("LeaksMemory")) std::memset(std::malloc(640000), 1, 640000);
    ++models;
    ended = false;
  }
  ~Model() {
    --models;
    unloaded = !used;
    ended = models > 0;
  }
  despina::Signature signature() const {
    return {{{"X", despina::FP32, {2}}, {"TEXT", despina::BYTES, {1}}},
            {{"Y", despina::FP32, {2}}},
            Is("ContradictsItsConfiguration") ? 4 : -1};
  }

  std::atomic<bool> used{false};
  std::vector<float> scratch = std::vector<float>(64);
};

class Instance {
 public:
  Instance(Model& model, const despina::Placement&) : model_(model) {
    if (Is("ThrowsInInstance")) throw std::bad_alloc();
    if (Is("LeaksAThread")) std::thread(SleepForEver).detach();
    if (Is("LeaksADescriptor")) static_cast<void>(open("/dev/null", O_RDONLY));
  }

  void execute(despina::Batch& batch) {
    model_.used = true;
    if (Is("NeverAnswers")) return;
    if (Is("BlocksForEver")) SleepForEver();
    if (Is("EndsAllModelsWithOne") && ended) throw Error(DESPINA_INTERNAL, "ended");
    if (Is("HasNoRoomForItsLargestBatch") && batch.rows() > 7) throw std::out_of_range("row 7");
    const bool differ = batch[0].rows() != batch[batch.size() - 1].rows();
    const float factor = Is("MixesUpItsBatch") && differ ? -2.0F : 2.0F;
    for (size_t i = 0; i < batch.size(); ++i) try {
        Answer(batch[i], factor);
      } catch (const Error& error) {
        // What it has detached, nobody else fails.
        if (!Is("ForgetsCancelledRequests")) throw;
        batch[i].fail(error);
      }
  }

 private:
  using Input = despina::TensorView<const float>;

  void Answer(const despina::Request& request, float factor) {
    const Input x = request.input<float>(0);
    if (x.size() > 0 && x[0] < 0) Fail(request);
    if (x.size() > 0 && x[0] < 0) return;
    const bool slow = Is("HearsNoCancellation") || Is("BlocksInACancellation");
    if (slow && x[0] == 9) std::this_thread::sleep_for(milliseconds(1000));
    if (Is("ChokesOnOddBytes")) Choke(request);
    if (Is("NeverRecovers") && failed_) throw Error(DESPINA_INTERNAL, "has failed before");
    failed_ = true;
    Before(request, x);
    if (Forgotten(request)) return;
    if (!Written(request, x)) {
      const auto y = request.allocate<float>(0, x.shape());
      for (size_t i = 0; i < x.size(); ++i) y[i] = factor * x[i];
      if (Is("WritesPastItsOutput")) y.data()[y.size()] = 1;
      if (Is("WritesBeforeItsOutput")) y.data()[-1] = 1;
    }
    failed_ = false;
    if (Is("UsesWhatItHasNotDeclared")) request.send();
    request.complete();
    After(request, x);
  }

  static void Fail(const despina::Request& request) {
    const Error negative(DESPINA_INVALID_ARGUMENT, "negative");
    if (Is("FailsAWholeBatch")) throw negative;
    request.fail(negative);
  }

  void Choke(const despina::Request& request) {
    const std::string_view text = request.input<despina::Text>(1)[0];
    choked_ = choked_ || text == std::string_view("\0", 1);
    if (choked_) throw Error(DESPINA_INTERNAL, "choked");
  }

  void Before(const despina::Request& request, const Input& x) {
    if (Is("WritesToItsInput")) const_cast<float*>(x.data())[0] += 1;
    if (Is("Crashes")) std::raise(SIGSEGV);
    if (Is("KeepsItsRequests")) {
      try {
        if (!kept_.empty()) kept_.back().input(0);
      } catch (const Error&) {
      }
      kept_.push_back(request);
    }
    if (Is("ReadsPastItsInput")) beyond_ = x.data()[x.size()];
    volatile int most = std::numeric_limits<int>::max();
    if (Is("Overflows")) most = most + static_cast<int>(x[0]);
    if (Is("SendsInTheWrongOrder")) {
      Double(request, x, 2);
      request.send();
      Double(request, x, 1);
      request.send();
    }
  }

  static void Double(const despina::Request& request, const Input& x, float factor) {
    const auto y = request.allocate<float>(0, x.shape());
    for (size_t i = 0; i < x.size(); ++i) y[i] = factor * x[i];
  }

  // Whether the request has left its batch, and is never answered.
  static bool Forgotten(const despina::Request& request) {
    const bool cancelled = Is("ForgetsCancelledRequests");
    if (cancelled || Is("DetachesAndForgets")) request.detach();
    return cancelled ? request.cancelled() : Is("DetachesAndForgets");
  }

  // Writes the answer in another way, where that is the fault.
  bool Written(const despina::Request& request, const Input& x) {
    const std::vector<float> twice(2 * x.size(), 1);
    const int64_t rows = x.shape()[0];
    if (Is("GivesTooManyRows")) {
      request.give(0, {twice, {2 * rows, 2}});
    } else if (Is("GivesAWrongDatatype")) {
      request.give(0, {std::vector<double>(x.size()), x.shape()});
    } else if (Is("GivesAWrongShape")) {
      request.give(0, {std::vector<float>(x.size() / 2), {rows, 1}});
    } else if (Is("NamesAnUndeclaredOutput")) {
      request.give(7, {std::vector<float>(x.size()), x.shape()});
    } else if (Is("ReleasesWhatItHasGiven")) {
      despina::Tensor tensor(std::vector<float>(x.size(), 1), x.shape());
      despina_tensor_owned owned = *tensor.get();
      request.give(0, std::move(tensor));
      owned.release(&owned);
    } else if (Is("SharesItsScratch")) {
      for (size_t i = 0; i < x.size(); ++i) model_.scratch[i] = 2 * x[i];
      std::this_thread::sleep_for(milliseconds(2));
      request.give(
          0, {std::vector<float>(model_.scratch.begin(),
                                 model_.scratch.begin() + static_cast<std::ptrdiff_t>(x.size())),
              x.shape()});
    } else if (Is("LeaksWhatIsRefused") || Is("ReleasesNothing")) {
      Leak(request, x);
    } else {
      return false;
    }
    return true;
  }

  // What is given is released; what is refused is not.
  static void Leak(const despina::Request& request, const Input& x) {
    auto* values = std::make_unique<std::vector<float>>(x.begin(), x.end()).release();
    despina_tensor_owned owned{};
    owned.tensor = {values->data(), x.shape().data(),        2,
                    despina::FP32,  {DESPINA_DEVICE_CPU, 0}, x.size() * sizeof(float)};
    owned.owner = values;
    owned.release = [](despina_tensor_owned* self) {
      if (Is("ReleasesNothing")) return;
      std::unique_ptr<std::vector<float>>(static_cast<std::vector<float>*>(self->owner));
    };
    const auto& raw = reinterpret_cast<despina_request* const&>(request);
    despina::detail::Call(despina::detail::host->request_give, raw, 0U, static_cast<void*>(nullptr),
                          &owned);
  }

  static void After(const despina::Request& request, const Input& x) {
    if (Is("AnswersTwice")) request.complete();
    if (Is("UsesARequestAfterItsAnswer")) request.input(0);
    if (!Is("SendsLate")) return;
    Double(request, x, 2);
    request.send();
  }

  Model& model_;
  bool failed_ = false;
  bool choked_ = false;
  volatile float beyond_ = 0;
  std::vector<despina::Request> kept_;
};

using Plugin = despina::detail::Plugin<Model, Instance>;

// -- faults of the table, which the C++ face does not let happen

decltype(despina_backend_api::backend_create) create = nullptr;
decltype(despina_backend_api::execute) execute = nullptr;

void SleepWhenTold(despina_instance*, despina_request*) { SleepForEver(); }
void ReturnUnanswered(despina_instance*, despina_batch*) {}
void Throw(despina_instance*, despina_batch*) { throw std::runtime_error("crosses"); }

despina_code CreateAnew(const despina_host_api* host, const despina_pair* options, size_t count,
                        despina_backend** out, despina_error* error) {
  unloaded = false;
  return create(host, options, count, out, error);
}

despina_batch* kept = nullptr;

void KeepTheBatch(despina_instance* self, despina_batch* batch) {
  despina_tensor tensor;
  if (kept != nullptr) {
    despina::detail::host->batch_gather(kept, 0, {DESPINA_DEVICE_CPU, 0}, nullptr, &tensor,
                                        nullptr);
  }
  kept = batch;
  execute(self, batch);
}

void Break(despina_backend_api& table) {
  create = table.backend_create;
  execute = table.execute;
  if (Is("LoadsOnce")) table.backend_create = CreateAnew;
  if (Is("BlocksInACancellation")) table.request_cancelled = SleepWhenTold;
  if (Is("ReturnsUnanswered")) table.execute = ReturnUnanswered;
  if (Is("ThrowsAcrossTheInterface")) table.execute = Throw;
  if (Is("KeepsItsBatch")) table.execute = KeepTheBatch;
  if (Is("HasNoExecute")) table.execute = nullptr;
  if (Is("HasNoName")) table.name = {};
  if (Is("IsOfAnotherVersion")) table.abi_hash ^= 1;
  if (Is("DeclaresWhatThereIsNot")) table.capabilities = UINT64_C(1) << 50;
  if (Is("SendsLate") || Is("SendsInTheWrongOrder")) table.capabilities = DESPINA_STREAMING;
  for (const char* each : {"DetachesAndForgets", "NeverDetaches", "ForgetsCancelledRequests"}) {
    if (Is(each)) table.capabilities = DESPINA_ASYNC;
  }
}

}  // namespace

// Which symbols are shown, the linker is told.
extern "C" __attribute__((visibility("default"))) int broken_second_symbol() { return 2; }

// One for the whole process, where the compiler makes such symbols.
__attribute__((visibility("default"))) inline int& BrokenUniqueSymbol() {
  static int unique = 1;
  return unique;
}
extern "C" __attribute__((visibility("default"))) int broken_use() { return BrokenUniqueSymbol(); }

extern "C" __attribute__((visibility("default"))) despina_code despina_backend_entry(
    const despina_host_api* host, despina_backend_api* out, despina_error* error) {
  if (Is("CrashesInItsEntry")) std::abort();
  if (Is("NeverLoads")) SleepForEver();
  const despina_code code = Plugin::Entry(host, out, error, Fault(), "");
  Break(*out);
  return code;
}
