// Inference from Python in the server's own process.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace despina::bindings {

struct InferArguments {
  std::string model;
  std::optional<int64_t> version;
  // Names to arrays.
  pybind11::dict inputs;
  std::optional<std::vector<std::string>> outputs;
  std::string request_id;
  std::optional<pybind11::dict> parameters;
  // Seconds.
  std::optional<double> timeout;
};

// Submits one request and waits for its answer, without the lock. Returns names to read-only
// arrays. Throws EngineError, and what a signal handler throws while it waits.
pybind11::dict Infer(Engine& engine, const InferArguments& arguments);

// The tensors that a request with these arguments would have, by index of the model's inputs.
// Throws EngineError for what the model does not take.
InputTensors InputsOf(Engine& engine, const InferArguments& arguments);

// The parts of one request's answer. With the lock.
class ResponseStream {
 public:
  // Submits the request. Unless `in_parts`, decoupled models are refused.
  ResponseStream(Engine& engine, const InferArguments& arguments, bool in_parts);
  // Cancels it unless it has ended.
  ~ResponseStream();

  // Waits for the next part, without the lock; nothing after the last one. Throws as Infer(); the
  // timeout is for each part.
  std::optional<pybind11::dict> Next();
  // The same without waiting: None after the last one, Ellipsis while there is nothing.
  pybind11::object Poll();
  // Readable when Poll() may have something. Throws EngineError when there is no descriptor.
  int Descriptor();
  // Nobody takes any more.
  void Close();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace despina::bindings
