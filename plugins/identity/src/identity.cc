// A backend that returns its inputs, and a small example of all that a backend has to do.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <despina/backend.hpp>
#include <string>
#include <thread>
#include <vector>

namespace {

despina::Error Refusal(const despina::ModelSpec& spec, const std::string& reason) {
  return despina::InvalidArgument("model '" + std::string(spec.name()) + "': " + reason);
}

std::chrono::milliseconds DelayOf(const despina::ModelSpec& spec) {
  const std::string_view text = spec.parameter("execute_delay_ms").value_or("0");
  unsigned milliseconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), milliseconds);
  if (error == std::errc() && end == text.data() + text.size()) {
    return std::chrono::milliseconds(milliseconds);
  }
  throw Refusal(spec,
                "parameter 'execute_delay_ms' is '" + std::string(text) + "', no whole number");
}

// The place of an output's input: that of the same suffix.
size_t BySuffix(const despina::TensorSpec& output, const std::vector<despina::TensorSpec>& inputs) {
  std::string name = output.name;
  if (const size_t at = name.find("OUTPUT"); at != std::string::npos) name.replace(at, 6, "INPUT");
  const auto same = [&](const despina::TensorSpec& input) { return input.name == name; };
  return static_cast<size_t>(std::find_if(inputs.begin(), inputs.end(), same) - inputs.begin());
}

// The input of each output: that of the same suffix if all have one, otherwise of the same place.
std::vector<uint32_t> Pair(const despina::ModelSpec& spec, const despina::Signature& signature) {
  const auto& inputs = signature.inputs;
  const auto& outputs = signature.outputs;
  if (inputs.size() != outputs.size()) {
    throw Refusal(spec, std::to_string(inputs.size()) + " inputs and " +
                            std::to_string(outputs.size()) + " outputs do not make pairs");
  }
  std::vector<uint32_t> input_of;
  for (const despina::TensorSpec& output : outputs) {
    input_of.push_back(static_cast<uint32_t>(BySuffix(output, inputs)));
  }
  std::vector<uint32_t> places(inputs.size());
  for (uint32_t i = 0; i < places.size(); ++i) places[i] = i;
  if (!std::is_permutation(places.begin(), places.end(), input_of.begin())) input_of = places;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const despina::TensorSpec& input = inputs[input_of[i]];
    if (input.datatype == outputs[i].datatype) continue;
    throw Refusal(spec, "input '" + input.name + "' and output '" + outputs[i].name +
                            "' are of different datatypes");
  }
  return input_of;
}

struct Model {
  explicit Model(const despina::ModelSpec& spec)
      : delay(DelayOf(spec)),
        tensors{spec.inputs(), spec.outputs()},
        input_of(Pair(spec, tensors)) {}
  despina::Signature signature() const { return tensors; }

  const std::chrono::milliseconds delay;
  const despina::Signature tensors;
  const std::vector<uint32_t> input_of;
};

class Instance {
 public:
  Instance(Model& model, const despina::Placement&) : model_(model) {}

  void execute(despina::Batch& batch) {
    if (model_.delay.count() > 0) std::this_thread::sleep_for(model_.delay);
    for (uint32_t output = 0; output < model_.input_of.size(); ++output) {
      // An input that is optional may be left out, and its output with it.
      if (const auto input = batch.gather(model_.input_of[output])) Copy(batch, *input, output);
    }
  }

 private:
  static void Copy(const despina::Batch& batch, const despina_tensor& input, uint32_t output) {
    const despina::Shape shape(input.shape, static_cast<size_t>(input.ndim));
    if (input.datatype == despina::BYTES) {
      const despina::TensorView<const despina::Text> texts(input);
      batch.give(output, {std::vector<despina::Text>(texts.begin(), texts.end()), shape});
      return;
    }
    const despina_tensor to = batch.allocate(output, input.datatype, shape);
    if (input.byte_size > 0) std::memcpy(to.data, input.data, input.byte_size);
  }

  const Model& model_;
};

}  // namespace

DESPINA_BACKEND(identity, Model, Instance)
