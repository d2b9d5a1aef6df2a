// Runs a backend's library as a server would, with the samples of its author's tests, built with
// the sanitizers: despina_sdk/testing/sanitizer.py writes the file that it takes.
//
// The file is a list of records: a key, a space, a size, a line's end, so many bytes, a line's end.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <list>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "despina/testing/fake_host.hpp"

namespace {

using despina::testing::Array;
using despina::testing::FakeRequest;
using despina::testing::Instance;
using despina::testing::Model;
using despina::testing::State;

struct Sample {
  uint64_t rows = 1;
  std::map<uint32_t, Array> inputs;
  std::chrono::milliseconds time_limit{};
};

struct Case {
  std::string library;
  despina::testing::ModelDescription description;
  despina::testing::ModelDescription::Pairs options;
  std::vector<Sample> samples;
  std::chrono::milliseconds time_limit{10000};  // of the samples that follow
};

// -- the file

std::pair<std::string, std::string> Halves(const std::string& text) {
  const size_t at = text.find('\0');
  if (at == std::string::npos) throw std::invalid_argument("a record has one half");
  return {text.substr(0, at), text.substr(at + 1)};
}

// Three, and a shape.
std::vector<int64_t> Numbers(const std::string& text) {
  std::istringstream stream(text);
  const std::vector<int64_t> numbers{std::istream_iterator<int64_t>(stream), {}};
  if (numbers.size() < 3) throw std::invalid_argument("a tensor is not described");
  return numbers;
}

despina::Datatype DatatypeAt(const std::vector<int64_t>& numbers, size_t at) {
  return {static_cast<uint8_t>(numbers.at(at)), static_cast<uint8_t>(numbers.at(at + 1)), 1};
}

// "NAME\0code bits optional dims..."
despina::TensorSpec SpecOf(const std::string& value) {
  const auto [name, rest] = Halves(value);
  const std::vector<int64_t> numbers = Numbers(rest);
  return {name, DatatypeAt(numbers, 0), {numbers.begin() + 3, numbers.end()}, numbers.at(2) != 0};
}

// "input code bits dims...\0" and the elements; texts each with a size of four bytes before it.
void AddTensor(const std::string& value, Sample& sample) {
  const auto [head, data] = Halves(value);
  const std::vector<int64_t> numbers = Numbers(head);
  Array array;
  array.datatype = DatatypeAt(numbers, 1);
  array.shape.assign(numbers.begin() + 3, numbers.end());
  if (array.datatype != despina::BYTES) {
    array.bytes.assign(data.begin(), data.end());
  } else {
    for (size_t at = 0; at < data.size();) {
      uint32_t size = 0;
      if (data.size() - at < sizeof size) throw std::invalid_argument("a text has no size");
      std::memcpy(&size, data.data() + at, sizeof size);
      at += sizeof size;
      if (data.size() - at < size) throw std::invalid_argument("a text is cut");
      array.texts.push_back(data.substr(at, size));
      at += size;
    }
  }
  sample.inputs[static_cast<uint32_t>(numbers.at(0))] = std::move(array);
}

void Add(const std::string& key, const std::string& value, Case& out) {
  if (key == "library") out.library = value;
  if (key == "name") out.description.name = value;
  if (key == "version") out.description.version = value;
  if (key == "path") out.description.path = value;
  if (key == "config") out.description.config = value;
  if (key == "time_limit") out.time_limit = std::chrono::milliseconds(std::stoll(value));
  if (key == "max_batch_size") out.description.max_batch_size = std::stoi(value);
  if (key == "decoupled") out.description.decoupled = value == "1";
  if (key == "option") out.options.push_back(Halves(value));
  if (key == "parameter") out.description.parameters.push_back(Halves(value));
  if (key == "input") out.description.inputs.push_back(SpecOf(value));
  if (key == "output") out.description.outputs.push_back(SpecOf(value));
  if (key == "request") out.samples.push_back({std::stoull(value), {}, out.time_limit});
  if (key == "tensor") AddTensor(value, out.samples.at(out.samples.size() - 1));
}

Case ReadCase(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  Case out;
  for (size_t at = 0; at < text.size();) {
    const size_t space = text.find(' ', at);
    const size_t line = text.find('\n', at);
    if (space == std::string::npos || line == std::string::npos) {
      throw std::invalid_argument("a record has no size");
    }
    const size_t size = std::stoull(text.substr(space + 1, line - space - 1));
    if (size >= text.size() - line - 1) throw std::invalid_argument("a record is cut");
    Add(text.substr(at, space - at), text.substr(line + 1, size), out);
    at = line + 1 + size + 1;
  }
  return out;
}

// -- the runs

// Requests of one execution, until all are answered.
class Run {
 public:
  explicit Run(const std::vector<const Sample*>& samples)
      : time_limit_(samples.front()->time_limit) {
    for (const Sample* sample : samples) {
      FakeRequest& request = requests_.emplace_back();
      request.id = "request " + std::to_string(requests_.size());
      request.inputs = sample->inputs;
      request.rows = sample->rows;
    }
  }
  explicit Run(const Sample& sample) : Run(std::vector<const Sample*>{&sample}) {}

  FakeRequest& first() { return requests_.front(); }
  void On(Instance& instance) {
    std::vector<FakeRequest*> pointers;
    for (FakeRequest& request : requests_) pointers.push_back(&request);
    instance.Execute(pointers);
    for (FakeRequest& request : requests_) {
      if (!request.Wait(time_limit_))
        throw std::runtime_error("'" + request.id + "' is not answered");
    }
  }

 private:
  std::list<FakeRequest> requests_;
  const std::chrono::milliseconds time_limit_;
};

// Each alone, and together as many as the model takes.
void Answer(Instance& instance, const std::vector<Sample>& samples) {
  for (const Sample& sample : samples) Run(sample).On(instance);
  const int32_t limit = instance.model.signature.max_batch_size;
  uint64_t rows = 0;
  std::vector<const Sample*> batch;
  for (size_t i = 0; limit > 0 && i < 64; ++i) {
    const Sample& sample = samples[i % samples.size()];
    if (rows + sample.rows > static_cast<uint64_t>(limit)) break;
    rows += sample.rows;
    batch.push_back(&sample);
  }
  if (!batch.empty()) Run(batch).On(instance);
}

void SideBySide(Model& model, const std::vector<Sample>& samples) {
  std::vector<std::thread> threads;
  for (uint32_t ordinal = 0; ordinal < 2; ++ordinal) {
    threads.emplace_back([&, ordinal] {
      Instance instance(model, ordinal);
      for (int i = 0; i < 5; ++i) Answer(instance, samples);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void Cancelled(Instance& instance, const Sample& sample) {
  Run before(sample);
  before.first().cancelled = true;
  before.On(instance);
  Run meanwhile(sample);
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    instance.Cancel(meanwhile.first());
  });
  meanwhile.On(instance);
  canceller.join();
}

// Each output refused in its turn, and then the next request is answered.
void Starved(Instance& instance, const Sample& sample) {
  for (uint64_t outputs = 0; outputs <= instance.model.signature.outputs.size(); ++outputs) {
    Run run(sample);
    run.first().outputs_until_starved = outputs;
    run.On(instance);
    Run(sample).On(instance);
  }
}

void RunAll(const Case& given) {
  const despina::testing::Library library(given.library);
  for (int load = 0; load < 2; ++load) {
    despina::testing::Backend backend(library, given.options);
    Model model(backend, given.description);
    {
      Instance instance(model);
      Answer(instance, given.samples);
      Cancelled(instance, given.samples.at(0));
      Starved(instance, given.samples.at(0));
    }
    SideBySide(model, given.samples);
  }
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 2) throw std::invalid_argument("usage: runner FILE");
  RunAll(ReadCase(arguments[1]));
  State& state = State::Get();
  for (const std::string& error : state.errors) std::fprintf(stderr, "ERROR: %s\n", error.c_str());
  if (state.given == state.released) return state.errors.empty() ? 0 : 1;
  throw std::runtime_error(std::to_string(state.given) + " tensors were given, and " +
                           std::to_string(state.released) + " released");
} catch (const std::exception& error) {
  std::fprintf(stderr, "ERROR: %s\n", error.what());
  return 1;
}
