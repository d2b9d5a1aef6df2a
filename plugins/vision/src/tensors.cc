#include "tensors.h"

#include <algorithm>
#include <utility>

#include "text.h"

namespace vision {

namespace {

bool Fits(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](int64_t m, int64_t n) { return m == -1 || n == -1 || m == n; });
}

std::string Shown(const std::vector<int64_t>& shape) {
  std::vector<std::string> dims;
  for (const int64_t dim : shape) dims.push_back(std::to_string(dim));
  return "[" + Joined(dims) + "]";
}

// One of those configured, with what the backend knows of it filled in.
class Settling {
 public:
  Settling(const despina::ModelSpec& spec, const std::string& kind, const TensorSpecs& offered)
      : about_("model '" + std::string(spec.name()) + "': " + kind + " '"), offered_(offered) {}

  despina::TensorSpec Settled(despina::TensorSpec tensor) const {
    const auto place = Find(offered_, tensor.name);
    if (!place) {
      std::vector<std::string> names;
      for (const despina::TensorSpec& each : offered_) names.push_back(each.name);
      throw Refusal(tensor.name, "is not known; the nearest that is known is '" +
                                     Nearest(tensor.name, names) + "'");
    }
    const despina::TensorSpec& known = offered_[*place];
    if (tensor.datatype != known.datatype) {
      throw Refusal(tensor.name,
                    "is " + NameOf(tensor.datatype) + ", it must be " + NameOf(known.datatype));
    }
    if (!Fits(tensor.shape, known.shape)) {
      throw Refusal(tensor.name, "is " + Shown(tensor.shape) + ", not " + Shown(known.shape));
    }
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      if (tensor.shape[i] == -1) tensor.shape[i] = known.shape[i];
    }
    return tensor;
  }

  despina::Error Refusal(const std::string& name, const std::string& problem) const {
    return despina::InvalidArgument(about_ + name + "' " + problem);
  }

 private:
  const std::string about_;
  const TensorSpecs& offered_;
};

}  // namespace

std::string NameOf(despina::Datatype datatype) {
  using namespace despina;
  static constexpr std::pair<Datatype, const char*> kNames[] = {
      {BOOL, "BOOL"}, {UINT8, "UINT8"}, {UINT16, "UINT16"}, {UINT32, "UINT32"}, {UINT64, "UINT64"},
      {INT8, "INT8"}, {INT16, "INT16"}, {INT32, "INT32"},   {INT64, "INT64"},   {FP16, "FP16"},
      {FP32, "FP32"}, {FP64, "FP64"},   {BF16, "BF16"},     {BYTES, "BYTES"}};
  for (const auto& [known, name] : kNames) {
    if (known == datatype) return name;
  }
  return "of another datatype";
}

TensorSpecs Settle(const despina::ModelSpec& spec, const std::string& kind,
                   const TensorSpecs& configured, const TensorSpecs& offered,
                   const std::vector<std::string>& required) {
  if (configured.empty()) return offered;
  const Settling settling(spec, kind, offered);
  TensorSpecs settled;
  for (const despina::TensorSpec& each : configured) settled.push_back(settling.Settled(each));
  for (const std::string& name : required) {
    const auto place = Find(settled, name);
    if (!place) throw settling.Refusal(name, "is missing from the configuration");
    if (settled[*place].optional) throw settling.Refusal(name, "cannot be optional");
  }
  return settled;
}

std::optional<uint32_t> Find(const TensorSpecs& specs, std::string_view name) {
  for (uint32_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name == name) return i;
  }
  return std::nullopt;
}

}  // namespace vision
