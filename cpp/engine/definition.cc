#include "engine/definition.h"

namespace despina {
namespace {

std::optional<uint32_t> Find(const std::vector<TensorDefinition>& tensors, std::string_view name) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].name == name) return static_cast<uint32_t>(i);
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint32_t> ModelDefinition::FindInput(std::string_view name) const {
  return Find(inputs, name);
}

std::optional<uint32_t> ModelDefinition::FindOutput(std::string_view name) const {
  return Find(outputs, name);
}

}  // namespace despina
