// A backend that does what each request asks for in its parameter "do".
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <despina/backend.hpp>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using despina::Error;

struct Model {
  explicit Model(const despina::ModelSpec& spec)
      : cups(spec.metrics().counter("probe_cups_total", "Cups", {{"size", "big"}})),
        heat(spec.metrics().gauge("probe_heat", "Heat")),
        sizes(spec.metrics().histogram("probe_sizes", "Sizes", {1, 2})) {
    if (const auto name = spec.parameter("metric")) spec.metrics().gauge(*name, "Heat");
    if (spec.parameter("throw")) throw Error(DESPINA_NOT_FOUND, "there are no weights");
    if (spec.parameter("odd")) throw 7;
    // Not in the order of the configuration.
    told.inputs = {{"TEXT", despina::BYTES, {-1}, true}, {"IN", despina::FP32, {-1}}};
    told.outputs = {{"TEXTS", despina::BYTES, {-1}}, {"OUT", despina::FP32, {-1}}};
    if (spec.parameter("broken")) told.inputs[0].shape = {-2};
    told.max_batch_size = spec.max_batch_size();
    if (spec.parameter("decoupled")) told.decoupled = true;
  }
  despina::Signature signature() const { return told; }
  void check_ready() const {
    if (tired) throw Error(DESPINA_UNAVAILABLE, "it is tired");
  }

  const despina::Counter cups;
  const despina::Gauge heat;
  const despina::Histogram sizes;
  std::atomic<bool> tired{false};
  despina::Signature told;
};

std::string_view TextOf(const despina_parameter& parameter) {
  return parameter.type == DESPINA_PARAMETER_TEXT ? despina::View(parameter.value.as_text)
                                                  : std::string_view();
}

class Instance {
 public:
  static constexpr uint64_t kCapabilities = DESPINA_STREAMING | DESPINA_ASYNC;

  Instance(Model& model, const despina::Placement& placement) : model_(model) {
    if (placement.ordinal > 8) throw Error(DESPINA_RESOURCE_EXHAUSTED, "no room for another one");
  }
  ~Instance() { Join(); }

  void execute(despina::Batch& batch) {
    Join();
    const despina::Request first = batch[0];
    // A copy: the request may be answered while it is still looked at.
    const std::string what(first.parameter_count() > 0 ? TextOf(first.parameter(0)) : "");
    if (what == "throw") throw Error(DESPINA_INVALID_ARGUMENT, "a request is not to my liking");
    if (what == "throw odd") throw 7;
    if (what == "give") return Give(batch);
    if (what == "texts") return Texts(batch);
    if (what == "fail silently") return first.fail(Error(DESPINA_NOT_FOUND, ""));
    if (what == "fail one") first.fail(Error(DESPINA_NOT_FOUND, "not this one"));
    if (what == "twice") {
      first.complete();
      first.complete();
      return;
    }
    if (what == "stream") return Stream(batch);
    if (what == "detach and complete") return first.detach().complete();
    if (what == "detach") return Detach(first, false);
    if (what == "wait for cancel") return Detach(first, true);
    if (what == "count") Count();
    if (what == "miscount") model_.cups.add(-1);
    if (what == "mark") return Mark(batch);
    if (what == "tire") model_.tired = true;
    if (what == "wrong output") static_cast<void>(batch.allocate<float>(7, {1}));
    if (what == "wrong type") static_cast<void>(batch.allocate<int32_t>(1, {1, 1}));
    if (what == "wrong input") static_cast<void>(batch.gather<int32_t>(1));
    if (what == "write what nobody wants") return Unwanted(batch);
    if (what == "index") static_cast<void>(batch.gather<float>(1)[1'000'000]);
    Double(batch);
  }

  void cancelled(despina::Request request) {
    const std::lock_guard lock(mutex_);
    if (request == waiting_) heard_ = true;
  }

 private:
  static void Double(const despina::Batch& batch) {
    const despina::TensorView<const float> in = batch.gather<float>(1);
    const despina::TensorView<float> out = batch.allocate<float>(1, in.shape());
    for (size_t i = 0; i < in.size(); ++i) out[i] = 2 * in[i];
  }

  // Each is memory of its own, and stays that until the request is answered.
  static void Unwanted(const despina::Batch& batch) {
    const std::array memory = {batch.allocate<float>(1, {1, 1}), batch.allocate<float>(1, {1, 1}),
                               batch[0].allocate<float>(1, {1, 1}),
                               batch[0].allocate<float>(1, {1, 1})};
    for (size_t i = 0; i < memory.size(); ++i) memory[i][0] = static_cast<float>(i);
    for (size_t i = 0; i < memory.size(); ++i) {
      if (memory[i][0] != static_cast<float>(i))
        throw Error(DESPINA_INTERNAL, "it was given twice");
    }
    batch.give(0, {std::vector<despina::Text>{despina::Text("text")}, despina::Shape{1, 1}});
  }

  // Each request by itself, with memory of the backend's own.
  static void Give(const despina::Batch& batch) {
    for (size_t i = 0; i < batch.size(); ++i) {
      const despina::TensorView<const float> in = batch[i].input<float>(1);
      batch[i].give(1, {std::vector<float>(in.begin(), in.end()), in.shape()});
      batch[i].set_parameter("rows", static_cast<int64_t>(batch[i].rows()));
      batch[i].complete();
    }
  }

  void Count() const {
    model_.cups.add();
    model_.heat.set(80);
    model_.heat.add(-15);
    for (const double size : {1.0, 1.5, 3.0}) model_.sizes.observe(size);
  }

  // Three parts of its time, of so many milliseconds at least.
  static void Mark(const despina::Batch& batch) {
    using std::chrono::milliseconds;
    std::this_thread::sleep_for(milliseconds(2));
    batch.compute_starts();
    std::this_thread::sleep_for(milliseconds(4));
    batch[0].compute_ends();
    std::this_thread::sleep_for(milliseconds(6));
    Double(batch);
  }

  static void Texts(const despina::Batch& batch) {
    const despina::TensorView<const despina::Text> in = batch.gather<despina::Text>(0);
    batch.give(0, {std::vector<despina::Text>(in.begin(), in.end()), in.shape()});
  }

  static void Stream(const despina::Batch& batch) {
    for (int i = 0; i < 3; ++i) {
      batch.give(1, {std::vector<float>{static_cast<float>(i)}, despina::Shape{1, 1}});
      batch.send();
    }
  }

  void Detach(despina::Request request, bool until_cancelled) {
    {
      const std::lock_guard lock(mutex_);
      waiting_ = request.detach();
    }
    // The test cancels when it sees this, and only then: nothing but the callback tells of it.
    if (until_cancelled) waiting_.send();
    later_ = std::thread([this, until_cancelled] {
      while (until_cancelled && !heard_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const despina::TensorView<const float> in = waiting_.input<float>(1);
      const despina::TensorView<float> out = waiting_.allocate<float>(1, in.shape());
      for (size_t i = 0; i < in.size(); ++i) out[i] = in[i] + (until_cancelled ? 1000.0F : 100.0F);
      waiting_.complete();
    });
  }

  void Join() {
    if (later_.joinable()) later_.join();
  }

  Model& model_;
  std::thread later_;
  std::mutex mutex_;
  despina::Request waiting_{nullptr};
  std::atomic<bool> heard_{false};
};

}  // namespace

DESPINA_BACKEND(probe, Model, Instance)
