// Memory that belongs to a Python object, as a buffer of the engine.
#pragma once

#include <Python.h>

#include <cstddef>

#include "memory/buffer.h"

namespace despina::bindings {

// A buffer over `memory`, which `owner` keeps. The last reference may be dropped on any thread:
// the object is only put on a list then, and let go by the next DropReleased(). With the lock.
Buffer KeepObject(PyObject* owner, std::byte* memory, size_t size);

// Lets go of the objects whose buffers are gone. With the lock.
void DropReleased();

// Whether DropReleased() has something to do now. Any thread.
bool ObjectsReleased();

}  // namespace despina::bindings
