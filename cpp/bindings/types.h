// What the engine's own types of Python are made with.
#pragma once

#include <Python.h>

#include <array>
#include <new>

namespace despina::bindings {

// C++ exceptions end here: the interpreter knows nothing of them.
template <auto function, class... Arguments>
PyObject* Guarded(Arguments... arguments) {
  try {
    return function(arguments...);
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  }
}
template <auto function>
constexpr getter kGetter = Guarded<function, PyObject*, void*>;
template <auto function>
constexpr PyCFunction kMethod = Guarded<function, PyObject*, PyObject*>;
// Of a method with METH_FASTCALL | METH_KEYWORDS. By way of a function without arguments, since the
// compiler warns of other casts.
template <auto function>
const PyCFunction kKeywordMethod = reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(
    &Guarded<function, PyObject*, PyObject* const*, Py_ssize_t, PyObject*>));

// A type that only the engine makes objects of. Null with an exception set. What it is given must
// outlive the module.
inline PyTypeObject* MakeType(PyObject* module, const char* name, int size, PyGetSetDef* properties,
                              PyMethodDef* methods, destructor free) {
  std::array<PyType_Slot, 4> slots = {{{Py_tp_getset, properties},
                                       {Py_tp_methods, methods},
                                       {Py_tp_dealloc, reinterpret_cast<void*>(free)},
                                       {0, nullptr}}};
  PyType_Spec spec = {.name = name,
                      .basicsize = size,
                      .itemsize = 0,
                      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                      .slots = slots.data()};
  auto* type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (type != nullptr && PyModule_AddType(module, type) != 0) return nullptr;
  return type;
}

}  // namespace despina::bindings
