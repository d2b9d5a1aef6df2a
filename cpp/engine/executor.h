// What runs a model's batches: the seam between the engine and the kinds of backends.
#pragma once

#include <memory>

#include "base/status.h"
#include "engine/batch.h"
#include "engine/definition.h"

namespace despina {

// One instance. Made, run and destroyed on the instance's own thread, never two calls at a time,
// but for Cancelled(). The native executor hands a batch through the C interface, the Python one
// takes the interpreter's lock once per batch.
class Executor {
 public:
  virtual ~Executor() = default;

  // Answers the requests of the batch, or detaches them to answer them later. Does not throw.
  virtual void Execute(Batch& batch) = 0;

  // Nobody waits any more for a request that was given to Execute(). Any thread; it may have been
  // answered meanwhile.
  virtual void Cancelled(const Request& request) { static_cast<void>(request); }

  // There is nothing to do: a chance to let go of what is not needed any more, before the thread is
  // put to sleep.
  virtual void Idle() {}
};

// Makes the instances of one model version. Outlives them.
class ExecutorFactory {
 public:
  virtual ~ExecutorFactory() = default;
  // On the thread of the instance.
  virtual Result<std::unique_ptr<Executor>> Create(const InstanceDefinition& instance) = 0;
};

}  // namespace despina
