// A backend that counts the tensors that it makes, and those of them that are released, in metrics;
// and does what a request says in its parameter "do".
#include <despina/backend.hpp>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Model {
  explicit Model(const despina::ModelSpec& spec)
      : made(spec.metrics().counter("made_total", "Tensors made")),
        released(spec.metrics().counter("released_total", "Tensors released")),
        level(spec.metrics().gauge("level", "A level", {{"of", "water"}})),
        sizes(spec.metrics().histogram("sizes", "Sizes", {1, 2})) {}
  despina::Signature signature() const {
    return {{{"X", despina::FP32, {-1}}, {"TEXT", despina::BYTES, {1}, true}},
            {{"Y", despina::FP32, {-1}}, {"TEXTS", despina::BYTES, {1}}},
            4,
            true};
  }
  void check_ready() const { throw despina::Error(DESPINA_UNAVAILABLE, "not today"); }

  const despina::Counter made;
  const despina::Counter released;
  const despina::Gauge level;
  const despina::Histogram sizes;
};

// What keeps the memory of a tensor.
template <class T>
struct Kept {
  Kept(const Model& of, std::vector<T> with) : model(of), values(std::move(with)) {
    model.made.add();
  }
  ~Kept() { model.released.add(); }
  const Model& model;
  std::vector<T> values;
};

template <class T>
despina::Tensor Make(const Model& model, std::vector<T> values, const despina::Shape& shape) {
  auto kept = std::make_unique<Kept<T>>(model, std::move(values));
  void* data = kept->values.data();
  const size_t size = kept->values.size() * sizeof(T);
  return {std::move(kept), data, size, despina::DatatypeOf<T>(), shape};
}

class Instance {
 public:
  static constexpr uint64_t kCapabilities = DESPINA_STREAMING | DESPINA_ASYNC;

  Instance(Model& model, const despina::Placement&) : model_(model) {}

  void execute(despina::Batch& batch) {
    batch.compute_starts();
    model_.level.set(7);
    model_.sizes.observe(static_cast<double>(batch.rows()));
    const despina::Request first = batch[0];
    const auto wanted = first.parameter("do");
    const std::string what(wanted ? despina::View(wanted->value.as_text) : std::string_view());
    const auto x = batch.gather<float>(0);
    const std::vector<float> values(x.begin(), x.end());
    if (what == "wrong rows") first.give(0, Make(model_, std::vector<float>(9), {9, 1}));
    if (what == "fail") {
      first.give(0, Make(model_, values, x.shape()));
      throw despina::Error(DESPINA_NOT_FOUND, "failed after it has given");
    }
    if (what == "forget" || what == "answer when cancelled") {
      const despina::Request detached = first.detach();
      detached.give(0, Make(model_, values, x.shape()));
      return;
    }
    if (what == "twice") first.give(0, Make(model_, std::vector<float>(values), x.shape()));
    if (what == "part") {
      first.give(0, Make(model_, values, x.shape()));
      first.set_parameter("part", true);
      first.send();
      first.set_parameter("rows", 1);
      first.set_parameter("half", 0.5);
      first.set_parameter("text", std::string("\xC3\xA9"));
    }
    if (what == "late") {
      for (size_t i = 0; i < batch.size(); ++i) batch[i].complete();
      batch.give(0, Make(model_, values, x.shape()));
      return;
    }
    if (what == "id") return Texts(batch, first.id());
    batch.give(0, Make(model_, values, x.shape()));
    Texts(batch, "text");
    batch.compute_ends();
  }

  void cancelled(despina::Request request) {
    const auto wanted = request.parameter("do");
    if (wanted && despina::View(wanted->value.as_text) == "answer when cancelled") {
      const auto x = request.input<float>(0);
      request.complete();
      // What is told of a cancellation may look at its request to the end.
      model_.sizes.observe(x[0] - request.input<float>(0)[0]);
    }
    model_.level.add(static_cast<double>(request.rows()));
  }

 private:
  void Texts(despina::Batch& batch, std::string_view text) {
    const auto rows = static_cast<int64_t>(batch.rows());
    const std::vector<despina::Text> texts(batch.rows(), despina::Text(text));
    batch.give(1, Make(model_, texts, {rows, 1}));
  }

  Model& model_;
};

}  // namespace

DESPINA_BACKEND(counting, Model, Instance)
