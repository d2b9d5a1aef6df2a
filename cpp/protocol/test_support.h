// What the tests of this layer share: a model to make requests to, and bodies.
#pragma once

#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/model.h"
#include "engine/submit.h"
#include "memory/pool.h"
#include "protocol/infer_json.h"

namespace despina::protocol {

// Only its definition counts here: nothing is run.
class TestModel final : public Model {
 public:
  explicit TestModel(ModelDefinition definition) : Model(std::move(definition), Clock::System()) {}

  void Enqueue(RequestChain, Turn&) override {}
  void Cancel(Request&) override {}
  void Stop() override {}
};

inline TensorDefinition TensorOf(std::string name, DataType datatype, const Shape& dims) {
  return {.name = std::move(name),
          .datatype = datatype,
          .dims = dims,
          .reshape = {},
          .optional = false,
          .labels = {}};
}

// A model "m" with these inputs and outputs.
inline ModelDefinition DefinitionOf(std::vector<TensorDefinition> inputs,
                                    std::vector<TensorDefinition> outputs,
                                    int64_t max_batch_size = 0) {
  ModelDefinition definition;
  // Not assigned as it stands there: GCC 12 would warn of what it makes of that.
  definition.name = std::string("m");
  definition.max_batch_size = max_batch_size;
  definition.inputs = std::move(inputs);
  definition.outputs = std::move(outputs);
  return definition;
}

// Two inputs and two outputs of one datatype and any shape of one axis.
inline ModelDefinition TwoOf(DataType datatype) {
  return DefinitionOf({TensorOf("IN0", datatype, {-1}), TensorOf("IN1", datatype, {-1})},
                      {TensorOf("OUT0", datatype, {-1}), TensorOf("OUT1", datatype, {-1})});
}

// Says how often it was asked, and for how much.
class CountingAllocator final : public Allocator {
 public:
  Result<Buffer> Allocate(size_t size) override {
    ++count_;
    bytes_ += size;
    return pool_.Allocate(size);
  }
  AllocatorStatistics statistics() const override { return pool_.statistics(); }

  size_t count() const { return count_; }
  size_t bytes() const { return bytes_; }

 private:
  BufferPool pool_;
  size_t count_ = 0;
  size_t bytes_ = 0;
};

class ExhaustedAllocator final : public Allocator {
 public:
  Result<Buffer> Allocate(size_t) override { return Status(Code::kResourceExhausted, "no memory"); }
  AllocatorStatistics statistics() const override { return {}; }
};

inline BufferPool& TestPool() {
  static BufferPool pool;
  return pool;
}

// Of a server whose clients have registered none.
inline const SharedRegions& NoRegions() {
  static const SharedRegions regions;
  return regions;
}

// A body as the front end reads it: what follows `json` is aligned, and there is padding at the
// end.
inline Slice BodyOf(std::string_view json, std::string_view tensors = "", size_t shift = 0) {
  const size_t start = (kDataAlignment - json.size() % kDataAlignment) % kDataAlignment + shift;
  const size_t size = json.size() + tensors.size();
  Buffer buffer = *TestPool().Allocate(start + size + kJsonPadding);
  std::byte* const out = buffer.writable().data() + start;
  std::memcpy(out, json.data(), json.size());
  std::memcpy(out + json.size(), tensors.data(), tensors.size());
  const std::span<const std::byte> bytes(out, size);
  return {std::move(buffer), bytes};
}

inline Slice SliceOf(std::string_view bytes) {
  Buffer buffer = *TestPool().Allocate(bytes.size());
  std::memcpy(buffer.writable().data(), bytes.data(), bytes.size());
  return Slice(std::move(buffer));
}

inline std::string TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string TextOf(const Slice& slice) { return TextOf(slice.bytes()); }

template <class Element>
std::string BytesOf(std::initializer_list<Element> elements) {
  std::string out;
  for (const Element& each : elements) {
    out.append(reinterpret_cast<const char*>(&each), sizeof each);
  }
  return out;
}

// The wire form of BYTES elements.
inline std::string StringsOf(std::initializer_list<std::string_view> elements) {
  std::string out;
  for (const std::string_view each : elements) {
    out += BytesOf({static_cast<uint32_t>(each.size())});
    out += each;
  }
  return out;
}

}  // namespace despina::protocol
