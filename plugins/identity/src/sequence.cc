// A backend with a memory: the running sum of each sequence of requests. A sequence is what has
// the same CORRID, from a request with START to one with END; rows of different sequences may come
// in one batch. The memory is the instance's: a model of several needs them to be told apart.
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <despina/backend.hpp>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <unordered_map>

namespace {

enum Input : uint32_t { kValue, kStart, kEnd, kReady, kId };

size_t MostSequences(const despina::ModelSpec& spec) {
  const std::string_view text = spec.parameter("max_sequences").value_or("65536");
  size_t most = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), most);
  if (error == std::errc() && end == text.data() + text.size() && most > 0) return most;
  throw despina::InvalidArgument("model '" + std::string(spec.name()) +
                                 "': parameter 'max_sequences' is '" + std::string(text) +
                                 "', no whole number above 0");
}

struct Model {
  explicit Model(const despina::ModelSpec& spec)
      : name(spec.name()), max_sequences(MostSequences(spec)) {}
  despina::Signature signature() const {
    return {{{"INPUT", despina::INT32, {1}},
             {"START", despina::INT32, {1}, true},
             {"END", despina::INT32, {1}, true},
             {"READY", despina::INT32, {1}, true},
             {"CORRID", despina::UINT64, {1}}},
            {{"OUTPUT", despina::INT32, {1}}}};
  }

  const std::string name;
  const size_t max_sequences;
};

// An input that may be left out: then each of its rows has the same value.
class Flags {
 public:
  Flags(const despina::Batch& batch, Input input, bool otherwise) : otherwise_(otherwise) {
    if (const auto tensor = batch.gather(input)) rows_.emplace(*tensor);
  }
  bool operator[](size_t row) const { return rows_ ? (*rows_)[row] != 0 : otherwise_; }

 private:
  std::optional<despina::TensorView<const int32_t>> rows_;
  bool otherwise_;
};

struct Rows {
  explicit Rows(const despina::Batch& batch)
      : value(batch.gather<int32_t>(kValue)),
        id(batch.gather<uint64_t>(kId)),
        start(batch, kStart, false),
        end(batch, kEnd, false),
        ready(batch, kReady, true) {}

  despina::TensorView<const int32_t> value;
  despina::TensorView<const uint64_t> id;
  Flags start;
  Flags end;
  Flags ready;
};

// Of the sequences that have begun and not ended.
using KnownSums = std::unordered_map<uint64_t, int32_t>;
// What one request makes of them; nothing where a sequence ends.
using Changes = std::unordered_map<uint64_t, std::optional<int32_t>>;

// As the processor adds: around at the end.
int32_t Add(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}

class Instance {
 public:
  Instance(Model& model, const despina::Placement&) : model_(model) {}

  void execute(despina::Batch& batch) {
    const Rows rows(batch);
    const auto sums = batch.allocate<int32_t>(0, rows.value.shape());
    size_t row = 0;
    for (size_t i = 0; i < batch.size(); ++i) {
      const despina::Request request = batch[i];
      const size_t end = row + request.rows();
      try {
        Advance(rows, row, end, sums);
      } catch (const despina::Error& error) {
        request.fail(error);
      } catch (const std::bad_alloc&) {
        request.fail({DESPINA_RESOURCE_EXHAUSTED, "out of memory"});
      } catch (const std::exception& error) {
        request.fail({DESPINA_INTERNAL, error.what()});
      }
      row = end;
    }
  }

 private:
  // The rows of one request, all of which count, or none.
  void Advance(const Rows& rows, size_t begin, size_t end,
               const despina::TensorView<int32_t>& sums) {
    Changes changes;
    for (size_t row = begin; row < end; ++row) {
      sums[row] = 0;
      if (!rows.ready[row]) continue;
      const uint64_t id = rows.id[row];
      sums[row] = Add(rows.start[row] ? 0 : Known(changes, id), rows.value[row]);
      changes[id] = rows.end[row] ? std::nullopt : std::optional(sums[row]);
    }
    Keep(changes);
  }

  int32_t Known(const Changes& changes, uint64_t id) const {
    if (const auto changed = changes.find(id); changed != changes.end()) {
      if (changed->second) return *changed->second;
    } else if (const auto known = sums_.find(id); known != sums_.end()) {
      return known->second;
    }
    throw despina::InvalidArgument(Sequence(id) + " is not known: its first request needs START");
  }

  void Keep(const Changes& changes) {
    size_t count = sums_.size();
    std::optional<uint64_t> added;
    for (const auto& [id, sum] : changes) {
      const bool known = sums_.count(id) > 0;
      if (sum && !known) ++count, added = id;
      if (!sum && known) --count;
    }
    if (added && count > model_.max_sequences) {
      throw despina::Error(DESPINA_RESOURCE_EXHAUSTED, Sequence(*added) + " is one more than the " +
                                                           std::to_string(model_.max_sequences) +
                                                           " of 'max_sequences'");
    }
    for (const auto& [id, sum] : changes) {
      if (sum) {
        sums_[id] = *sum;
      } else {
        sums_.erase(id);
      }
    }
  }

  std::string Sequence(uint64_t id) const {
    return "model '" + model_.name + "': sequence " + std::to_string(id);
  }

  const Model& model_;
  KnownSums sums_;
};

}  // namespace

DESPINA_BACKEND(sequence, Model, Instance)
