// Owned references to Python objects, for code that works below pybind11.
#pragma once

#include <Python.h>

#include <utility>

namespace despina::bindings {

// Made, moved and destroyed with the interpreter's lock held.
class Reference {
 public:
  Reference() = default;
  // Takes over a new reference; null is allowed.
  explicit Reference(PyObject* owned) : object_(owned) {}
  static Reference Borrow(PyObject* object) {
    Py_XINCREF(object);
    return Reference(object);
  }
  Reference(Reference&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Reference& operator=(Reference other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Reference() { Py_XDECREF(object_); }

  explicit operator bool() const { return object_ != nullptr; }
  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }

 private:
  PyObject* object_ = nullptr;
};

}  // namespace despina::bindings
