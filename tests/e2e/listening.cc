// A backend that never answers, until it is told that nobody waits any more.
#include <algorithm>
#include <despina/backend.hpp>
#include <mutex>
#include <vector>

namespace {

struct Model {
  explicit Model(const despina::ModelSpec& spec)
      : begun(spec.metrics().gauge("listening_begun", "Requests that have been begun")),
        heard(spec.metrics().counter("listening_heard_total", "Cancellations that were heard")) {}
  despina::Signature signature() const {
    return {{{"X", despina::FP32, {-1}}}, {{"Y", despina::FP32, {-1}}}};
  }

  const despina::Gauge begun;
  const despina::Counter heard;
};

class Instance {
 public:
  static constexpr uint64_t kCapabilities = DESPINA_ASYNC;

  Instance(Model& model, const despina::Placement&) : model_(model) {}

  void execute(despina::Batch& batch) {
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < batch.size(); ++i) waiting_.push_back(batch[i].detach());
    model_.begun.add(static_cast<double>(batch.size()));
  }
  void cancelled(despina::Request request) {
    const std::lock_guard lock(mutex_);
    const auto at = std::find(waiting_.begin(), waiting_.end(), request);
    if (at == waiting_.end()) return;
    waiting_.erase(at);
    model_.heard.add();
    request.fail({DESPINA_CANCELLED, "nobody waits any more"});
  }

 private:
  Model& model_;
  std::mutex mutex_;
  std::vector<despina::Request> waiting_;
};

}  // namespace

DESPINA_BACKEND(listening, Model, Instance)
