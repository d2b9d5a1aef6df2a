// Random requests whose answers tell whether they are right, and a model of what the engine has to
// do with them. Not for production code.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "engine/definition.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "engine/testing.h"

namespace despina::testing {

// What repeats a run: DESPINA_TEST_SEED and DESPINA_TEST_REQUESTS.
inline uint64_t Environment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

inline uint64_t Requests() {
#ifdef DESPINA_SANITIZED
  return Environment("DESPINA_TEST_REQUESTS", 100'000);
#else
  return Environment("DESPINA_TEST_REQUESTS", 1'000'000);
#endif
}

inline uint64_t Seed() { return Environment("DESPINA_TEST_SEED", std::random_device{}()); }

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t Below(uint64_t end) { return engine_() % end; }
  bool OneIn(uint64_t end) { return Below(end) == 0; }
  template <typename T>
  T OneOf(std::initializer_list<T> values) {
    return values.begin()[Below(values.size())];
  }

 private:
  std::mt19937_64 engine_;
};

inline constexpr uint32_t kOut = 0;
inline constexpr uint32_t kEcho = 1;

inline Tensor Numbers(const Shape& shape, const std::vector<int64_t>& values) {
  const auto* bytes = reinterpret_cast<const char*>(values.data());
  return {DataType::kInt64, shape, Bytes({bytes, values.size() * sizeof(int64_t)})};
}

inline Tensor PlusOne(const Tensor& tensor, int times = 1) {
  std::vector<int64_t> values(tensor.data.size() / sizeof(int64_t));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  for (int64_t& each : values) each += times;
  return Numbers(tensor.shape, values);
}

inline bool Same(const Tensor& one, const Tensor& other) {
  return one.datatype == other.datatype && one.shape == other.shape &&
         std::ranges::equal(one.data.bytes(), other.data.bytes());
}

// No element is like another of any request, so that rows which are mixed up are seen.
// `columns` and `extra`: elements in a row of the two inputs; without any, EXTRA is left out.
inline void Fill(Request& request, uint64_t id, uint64_t rows, uint64_t columns, uint64_t extra) {
  const bool batched = request.model->definition().batching_axis();
  const auto shaped = [&](uint64_t width) {
    const auto row = static_cast<int64_t>(width);
    return batched ? Shape{static_cast<int64_t>(rows), row} : Shape{row};
  };
  std::vector<int64_t> numbers;
  for (uint64_t i = 0; i < rows * columns; ++i) {
    numbers.push_back(static_cast<int64_t>(id * 100 + i * 2));
  }
  request.id = std::to_string(id);
  request.inputs[0] = Numbers(shaped(columns), numbers);
  if (extra == 0) return;
  std::vector<std::string> texts;
  for (uint64_t i = 0; i < rows * extra; ++i) {
    texts.push_back(request.id + std::string(i, '.'));  // of several lengths
  }
  request.inputs[1] = Strings(shaped(extra), texts);
}

inline bool Wanted(const Request& request, uint32_t output) {
  const auto& wanted = request.requested_outputs;
  return wanted.empty() || std::ranges::count(wanted, output) > 0;
}

// What is wrong with an answer, by what the request itself asked of so many models one after the
// other; empty: nothing.
inline std::string Complaint(const Request& request, int steps = 1) {
  std::vector<std::pair<uint32_t, Tensor>> right;
  if (request.response.status.ok()) {
    if (Wanted(request, kOut)) right.emplace_back(kOut, PlusOne(*request.inputs[0], steps));
    const bool echo = request.inputs.size() > 1 && request.inputs[1];
    if (Wanted(request, kEcho) && echo) right.emplace_back(kEcho, *request.inputs[1]);
  }
  const auto& outputs = request.response.outputs;
  if (outputs.size() != right.size()) return "the answer has other outputs than were asked for";
  for (size_t i = 0; i < right.size(); ++i) {
    if (outputs[i].index != right[i].first) return "the outputs are out of order";
    if (!Same(outputs[i].tensor, right[i].second)) return "an output is not that of its request";
  }
  return {};
}

// IN -> OUT, which is IN + 1; EXTRA, which may be left out -> ECHO, which is EXTRA.
inline ModelDefinition NumbersAndTexts(std::string name, int64_t max_batch_size) {
  ModelDefinition definition = Definition(std::move(name), max_batch_size);
  definition.inputs = {Fp32("IN"), Fp32("EXTRA")};
  definition.outputs = {Fp32("OUT"), Fp32("ECHO")};
  definition.inputs[0].datatype = definition.outputs[0].datatype = DataType::kInt64;
  definition.inputs[1].datatype = definition.outputs[1].datatype = DataType::kBytes;
  definition.inputs[1].optional = true;
  return definition;
}

// What a queued model has to do, in the plainest way: lists, loops, one thread.
class ReferenceModel {
 public:
  struct Asked {
    uint64_t id = 0;
    uint32_t rows = 1;
    // Requests of one kind have equal inputs in shapes that differ in the rows only.
    uint32_t kind = 0;
    TimePoint arrival{};
    // Set here. A run: of one kind, and they came one after the other. One that is cancelled while
    // it waits still keeps those before it from those behind it.
    uint64_t run = 0;
    TimePoint begun{};
  };
  struct Answer {
    uint64_t id = 0;
    Code code = Code::kOk;
    bool operator==(const Answer&) const = default;
  };
  // What an instance does that has nothing to do.
  enum class Doing { kIdling, kHoldingBack, kRunning };
  struct Next {
    Doing doing = Doing::kIdling;
    TimePoint until{};         // kHoldingBack
    std::vector<Asked> batch;  // kRunning
  };

  explicit ReferenceModel(const ModelDefinition& definition)
      : max_rows_(static_cast<uint32_t>(definition.max_batch_size)),
        batching_(definition.batching) {}

  // Requests that come together. What was cancelled on its way is answered, and what finds no room
  // refused, once the others are in.
  void Push(const std::vector<Asked>& requests, TimePoint now) {
    size_t taken = 0;
    std::vector<Asked> dropped;
    for (const Asked& each : requests) {
      if (queue_.size() == batching_.max_queue_size) break;
      if (last_.kind != each.kind) ++last_.run;
      last_.kind = each.kind;
      order_.push_back(each.id);
      ++taken;
      if (cancelled(each.id)) {
        dropped.push_back(each);
        continue;
      }
      queue_.push_back(each);
      queue_.back().run = last_.run;
    }
    for (const Asked& each : dropped) Finish(each, Code::kCancelled, now);
    for (size_t i = taken; i < requests.size(); ++i) {
      CountFailure(requests[i], FailureReason::kRejected, now);
      answers_.push_back({requests[i].id, Code::kUnavailable});
    }
  }

  // What waits is answered at once. True: it was given to the executor, which is to be told.
  bool Cancel(uint64_t id, TimePoint now) {
    cancelled_.insert(id);
    const auto at = std::ranges::find(queue_, id, &Asked::id);
    if (at == queue_.end()) return given_.contains(id);
    const Asked asked = *at;
    queue_.erase(at);
    Finish(asked, Code::kCancelled, now);
    return false;
  }
  bool cancelled(uint64_t id) const { return cancelled_.contains(id); }

  // An instance asks for work.
  Next TakeNext(TimePoint now) {
    while (!queue_.empty()) {
      const size_t take = HowMany(now);
      if (take == 0) return {Doing::kHoldingBack, queue_.front().arrival + batching_.max_delay, {}};
      std::vector<Asked> batch;
      for (size_t i = 0; i < take; ++i) {
        Asked asked = queue_.front();
        queue_.pop_front();
        asked.begun = now;
        given_.insert(asked.id);
        batch.push_back(asked);
      }
      if (!batch.empty()) return {Doing::kRunning, {}, std::move(batch)};
    }
    return {};
  }

  void Finish(const Asked& asked, Code code, TimePoint now) {
    if (code == Code::kOk) {
      counts_.success.Add(now - asked.arrival);
      counts_.queue.Add(asked.begun - asked.arrival);
      counts_.compute_input.Add(Duration::zero());
      counts_.compute_infer.Add(now - asked.begun);
      counts_.compute_output.Add(Duration::zero());
      counts_.inference_count += asked.rows;
    } else {
      CountFailure(asked,
                   code == Code::kCancelled ? FailureReason::kCanceled : FailureReason::kBackend,
                   now);
    }
    if (!batching_.preserve_ordering) return answers_.push_back({asked.id, code});
    held_[asked.id] = code;
    while (!order_.empty() && held_.contains(order_.front())) {
      answers_.push_back({order_.front(), held_[order_.front()]});
      held_.erase(order_.front());
      order_.pop_front();
    }
  }

  void EndExecution(uint32_t rows, bool any_success, TimePoint begun, TimePoint now) {
    ++counts_.execution_count;
    if (!any_success) return;
    BatchCounts& batch = counts_.batches[rows];
    batch.compute_input.Add(Duration::zero());
    batch.compute_infer.Add(now - begun);
    batch.compute_output.Add(Duration::zero());
  }

  size_t waiting() const { return queue_.size(); }
  // What has been answered since the last time, in order.
  std::vector<Answer>& answers() { return answers_; }
  ModelCounts Counts() const {
    ModelCounts counts = counts_;
    counts.pending = queue_.size();
    return counts;
  }

 private:
  // The rules of the dynamic batcher, one after the other. 0: the batch is held back.
  size_t HowMany(TimePoint now) const {
    if (!batching_.dynamic || max_rows_ == 0) return 1;
    // Rows of the first request, of the first two, ...: the batches that could be run.
    std::vector<uint32_t> sizes;
    for (const Asked& each : queue_) {
      const uint32_t size = (sizes.empty() ? 0 : sizes.back()) + each.rows;
      if (each.run != queue_.front().run || size > max_rows_) break;
      sizes.push_back(size);
    }
    std::vector<uint32_t> preferred = batching_.preferred_rows;
    if (preferred.empty()) preferred = {max_rows_};
    const uint32_t largest = std::ranges::max(preferred);
    const bool delayed = batching_.max_delay > Duration::zero();
    const bool overdue = delayed && now - queue_.front().arrival >= batching_.max_delay;
    if (!overdue) {
      for (size_t count = sizes.size(); count > 0; --count) {
        if (std::ranges::count(preferred, sizes[count - 1]) > 0) return count;
      }
      // None is reached: as much as does not go past the largest, if there is more.
      for (size_t count = 1; count <= sizes.size() && count < queue_.size(); ++count) {
        if (sizes[count - 1] + queue_[count].rows > largest) return count;
      }
    }
    const bool can_grow = sizes.size() == queue_.size() && sizes.back() < largest;
    return delayed && !overdue && can_grow ? 0 : sizes.size();
  }

  void CountFailure(const Asked& asked, FailureReason reason, TimePoint now) {
    counts_.fail.Add(now - asked.arrival);
    ++counts_.failures[static_cast<size_t>(reason)];
  }

  const uint32_t max_rows_;
  const BatchingDefinition batching_;
  std::deque<Asked> queue_;
  Asked last_;
  std::set<uint64_t> cancelled_;
  std::set<uint64_t> given_;
  // Of those that were not refused: what is not given back yet, and what of it is answered.
  std::deque<uint64_t> order_;
  std::map<uint64_t, Code> held_;
  std::vector<Answer> answers_;
  ModelCounts counts_;
};

// Everything that is counted but the time of day, to be compared and to be read.
inline std::string CountsText(const ModelCounts& counts) {
  std::ostringstream out;
  const auto add = [&out](const char* name, const DurationCount& each) {
    out << ' ' << name << ' ' << each.count << '/' << each.nanoseconds << "ns";
  };
  add("success", counts.success);
  add("fail", counts.fail);
  add("queue", counts.queue);
  add("input", counts.compute_input);
  add("infer", counts.compute_infer);
  add("output", counts.compute_output);
  out << " rows " << counts.inference_count << " executions " << counts.execution_count;
  for (const uint64_t each : counts.failures) out << " failures " << each;
  for (const auto& [rows, batch] : counts.batches) {
    out << "; batches of " << rows << ':';
    add("input", batch.compute_input);
    add("infer", batch.compute_infer);
    add("output", batch.compute_output);
  }
  out << "; pending " << counts.pending;
  return out.str();
}

}  // namespace despina::testing
