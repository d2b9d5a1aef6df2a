// The interpreter's lock on threads of the engine.
#pragma once

#include <Python.h>

namespace despina::bindings {

// A thread's place in the interpreter, kept as long as the thread runs Python: making a new one
// for each batch costs more than the rest of the call. Made and destroyed on its thread, without
// the lock.
class InterpreterThread {
 public:
  InterpreterThread() : outer_(PyGILState_Ensure()), state_(PyEval_SaveThread()) {}
  ~InterpreterThread() {
    PyEval_RestoreThread(state_);
    PyGILState_Release(outer_);
  }
  InterpreterThread(const InterpreterThread&) = delete;
  InterpreterThread& operator=(const InterpreterThread&) = delete;

  // Holds the lock while it lives.
  class Hold {
   public:
    explicit Hold(InterpreterThread& thread) : thread_(thread) {
      PyEval_RestoreThread(thread_.state_);
    }
    ~Hold() { thread_.state_ = PyEval_SaveThread(); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    InterpreterThread& thread_;
  };

 private:
  PyGILState_STATE outer_;
  PyThreadState* state_;
};

}  // namespace despina::bindings
