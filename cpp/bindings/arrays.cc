#include "bindings/arrays.h"

#include <array>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "bindings/dlpack.h"
#include "bindings/errors.h"
#include "bindings/kept_object.h"
#include "bindings/numpy_api.h"
#include "bindings/reference.h"
#include "memory/copy.h"

namespace despina::bindings {
namespace {

// Below this a copy costs less than keeping the object and letting go of it later.
constexpr size_t kCopyBelow = 2048;

// Keeps a tensor's memory; the base of the arrays that show it.
struct MemoryObject {
  PyObject head;
  Slice slice;
};

PyTypeObject* memory_type = nullptr;

void FreeMemory(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  reinterpret_cast<MemoryObject*>(self)->slice.~Slice();
  type->tp_free(self);
  Py_DECREF(type);
}

Reference MakeMemory(const Slice& slice) {
  PyObject* object = memory_type->tp_alloc(memory_type, 0);
  if (object != nullptr) new (&reinterpret_cast<MemoryObject*>(object)->slice) Slice(slice);
  return Reference(object);
}

constexpr std::array<int, kDataTypes> kNumpyTypes = {
    NPY_BOOL,  NPY_UINT8, NPY_UINT16, NPY_UINT32, NPY_UINT64, NPY_INT8,   NPY_INT16,
    NPY_INT32, NPY_INT64, NPY_HALF,   NPY_FLOAT,  NPY_DOUBLE, NPY_OBJECT, NPY_UINT16};

int NumpyType(DataType datatype) { return kNumpyTypes[static_cast<size_t>(datatype)]; }

std::optional<DataType> DataTypeOf(PyArrayObject* array, DataType expected) {
  const int type = PyArray_TYPE(array);
  if (type == NPY_OBJECT || type == NPY_STRING || type == NPY_UNICODE) return DataType::kBytes;
  if (PyArray_EquivTypenums(type, NumpyType(expected))) return expected;
  for (size_t i = 0; i < kDataTypes; ++i) {
    if (PyArray_EquivTypenums(type, kNumpyTypes[i])) return static_cast<DataType>(i);
  }
  return std::nullopt;
}

Shape ShapeOf(PyArrayObject* array) {
  Shape shape;
  for (int axis = 0; axis < PyArray_NDIM(array); ++axis) shape.Append(PyArray_DIM(array, axis));
  return shape;
}

Result<Slice> Copied(const void* data, size_t size, Allocator& allocator) {
  Result<Buffer> buffer = allocator.Allocate(size);
  if (!buffer.ok()) return buffer.status();
  CopyTensorData(buffer->writable().data(), data, size);
  return Slice(*std::move(buffer));
}

// The engine's own memory behind a view of it: then nothing of Python's has to be kept.
std::optional<Slice> EngineMemory(PyArrayObject* array, size_t size) {
  PyObject* base = PyArray_BASE(array);
  while (base != nullptr && PyArray_Check(base)) {
    base = PyArray_BASE(reinterpret_cast<PyArrayObject*>(base));
  }
  if (base == nullptr || Py_TYPE(base) != memory_type) return std::nullopt;
  const Slice& slice = reinterpret_cast<MemoryObject*>(base)->slice;
  const auto* data = static_cast<const std::byte*>(PyArray_DATA(array));
  if (data < slice.data() || data + size > slice.data() + slice.size()) return std::nullopt;
  return slice.Part(static_cast<size_t>(data - slice.data()), size);
}

// The elements one row after the other, in the byte order of the machine.
Result<Slice> Arranged(PyArrayObject* array, size_t size, Allocator& allocator) {
  Result<Buffer> buffer = allocator.Allocate(size);
  if (!buffer.ok()) return buffer.status();
  const Reference target(PyArray_New(&PyArray_Type, PyArray_NDIM(array), PyArray_DIMS(array),
                                     PyArray_TYPE(array), nullptr, buffer->writable().data(), 0,
                                     NPY_ARRAY_CARRAY, nullptr));
  if (!target || PyArray_CopyInto(reinterpret_cast<PyArrayObject*>(target.get()), array) != 0) {
    return InvalidArgument(TakeException().message());
  }
  CountTensorCopy(size);
  return Slice(*std::move(buffer));
}

Result<Slice> DataOf(PyArrayObject* array, Sharing sharing, Allocator& allocator) {
  const auto size = static_cast<size_t>(PyArray_NBYTES(array));
  if (!PyArray_ISCARRAY_RO(array)) return Arranged(array, size, allocator);
  if (auto slice = EngineMemory(array, size)) return *std::move(slice);
  void* data = PyArray_DATA(array);
  if (size < kCopyBelow || sharing == Sharing::kCopy) return Copied(data, size, allocator);
  return Slice(KeepObject(reinterpret_cast<PyObject*>(array), static_cast<std::byte*>(data), size));
}

// The bytes of an element, which keeps them; nothing with an exception set.
std::optional<std::string_view> ElementBytes(PyObject* element) {
  const char* data = nullptr;
  Py_ssize_t size = 0;
  if (PyUnicode_Check(element)) {
    data = PyUnicode_AsUTF8AndSize(element, &size);
    if (data == nullptr) return std::nullopt;
  } else {
    char* bytes = nullptr;
    if (PyBytes_AsStringAndSize(element, &bytes, &size) != 0) return std::nullopt;
    data = bytes;
  }
  if (static_cast<uint64_t>(size) > UINT32_MAX) {
    PyErr_SetString(PyExc_ValueError, "an element of a BYTES tensor has more than 4 GiB");
    return std::nullopt;
  }
  return std::string_view(data, static_cast<size_t>(size));
}

Result<Slice> BytesDataOf(PyArrayObject* array, Allocator& allocator) {
  const Reference objects(
      PyArray_FROM_OTF(reinterpret_cast<PyObject*>(array), NPY_OBJECT, NPY_ARRAY_CARRAY_RO));
  if (!objects) return InvalidArgument(TakeException().message());
  auto* numpy = reinterpret_cast<PyArrayObject*>(objects.get());
  auto** items = static_cast<PyObject**>(PyArray_DATA(numpy));
  const auto count = static_cast<size_t>(PyArray_SIZE(numpy));
  size_t size = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto element = ElementBytes(items[i]);
    if (!element) return InvalidArgument(TakeException().message());
    size += sizeof(uint32_t) + element->size();
  }
  Result<Buffer> buffer = allocator.Allocate(size);
  if (!buffer.ok()) return buffer.status();
  CountTensorCopy(size);
  std::byte* to = buffer->writable().data();
  // Nothing ran in between that could have changed the elements.
  for (size_t i = 0; i < count; ++i) {
    const std::string_view element = *ElementBytes(items[i]);
    const auto length = static_cast<uint32_t>(element.size());
    std::memcpy(to, &length, sizeof length);
    std::memcpy(to + sizeof length, element.data(), element.size());
    to += sizeof length + element.size();
  }
  return Slice(*std::move(buffer));
}

PyObject* BytesArray(const Tensor& tensor, const npy_intp* dims) {
  Reference array(PyArray_SimpleNew(static_cast<int>(tensor.shape.rank()), dims, NPY_OBJECT));
  if (!array) return nullptr;
  auto* numpy = reinterpret_cast<PyArrayObject*>(array.get());
  auto** items = static_cast<PyObject**>(PyArray_DATA(numpy));
  BytesReader reader(tensor.data.bytes());
  for (npy_intp i = 0; i < PyArray_SIZE(numpy); ++i) {
    const auto element = reader.Next();
    if (!element) {
      return SetBackendError(Internal("a BYTES tensor has fewer elements than its shape says"));
    }
    PyObject* bytes = PyBytes_FromStringAndSize(reinterpret_cast<const char*>(element->data()),
                                                static_cast<Py_ssize_t>(element->size()));
    if (bytes == nullptr) return nullptr;
    Py_XSETREF(items[i], bytes);
  }
  PyArray_CLEARFLAGS(numpy, NPY_ARRAY_WRITEABLE);
  return array.release();
}

}  // namespace

bool PrepareArrays() {
  static std::array<PyType_Slot, 2> slots = {
      {{Py_tp_dealloc, reinterpret_cast<void*>(&FreeMemory)}, {0, nullptr}}};
  static PyType_Spec spec = {.name = "despina._engine.Memory",
                             .basicsize = sizeof(MemoryObject),
                             .itemsize = 0,
                             .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                             .slots = slots.data()};
  memory_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return memory_type != nullptr;
}

PyObject* AlignedArrayOf(const Tensor& tensor, Allocator& allocator) {
  if (tensor.datatype == DataType::kBytes || tensor.data.aligned()) return ArrayOf(tensor);
  Result<Slice> copy = Copied(tensor.data.data(), tensor.data.size(), allocator);
  if (!copy.ok()) return SetBackendError(copy.status());
  return ArrayOf({.datatype = tensor.datatype, .shape = tensor.shape, .data = *std::move(copy)});
}

PyObject* ArrayOf(const Tensor& tensor) {
  std::array<npy_intp, Shape::kMaxRank> dims{};
  for (size_t axis = 0; axis < tensor.shape.rank(); ++axis) dims[axis] = tensor.shape[axis];
  if (tensor.datatype == DataType::kBytes) return BytesArray(tensor, dims.data());

  Reference memory = MakeMemory(tensor.data);
  if (!memory) return nullptr;
  // Nobody writes through it: the array is made read-only.
  auto* bytes = const_cast<std::byte*>(tensor.data.data());
  PyObject* array = PyArray_New(&PyArray_Type, static_cast<int>(tensor.shape.rank()), dims.data(),
                                NumpyType(tensor.datatype), nullptr, bytes, 0,
                                NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED, nullptr);
  if (array == nullptr) return nullptr;
  auto* numpy = reinterpret_cast<PyArrayObject*>(array);
  PyArray_CLEARFLAGS(numpy, NPY_ARRAY_WRITEABLE);
  if (PyArray_SetBaseObject(numpy, memory.release()) == 0) return array;
  Py_DECREF(array);
  return nullptr;
}

Result<LentArray> Lent(PyObject* value, DataType expected) {
  if (!PyArray_Check(value) && LendsByDlpack(value)) return BorrowByDlpack(value);
  // Lists of `bytes` must not become numpy's text arrays, which lose zeros at the end of an
  // element.
  const bool elements = expected == DataType::kBytes && !PyArray_Check(value);
  Reference array(elements ? PyArray_FROM_OT(value, NPY_OBJECT) : PyArray_FROM_O(value));
  if (!array) return InvalidArgument(TakeException().message());
  auto* numpy = reinterpret_cast<PyArrayObject*>(array.get());
  if (const auto datatype = DataTypeOf(numpy, expected)) {
    return LentArray{std::move(array), *datatype};
  }
  const Reference name(PyObject_Str(reinterpret_cast<PyObject*>(PyArray_DESCR(numpy))));
  const char* text = name ? PyUnicode_AsUTF8(name.get()) : nullptr;
  PyErr_Clear();
  return InvalidArgument(
      Concat("no datatype carries arrays of ", text != nullptr ? text : "this kind"));
}

Result<Tensor> TensorOf(const LentArray& lent, Sharing sharing, Allocator& allocator) {
  auto* numpy = reinterpret_cast<PyArrayObject*>(lent.array.get());
  if (static_cast<size_t>(PyArray_NDIM(numpy)) > Shape::kMaxRank) {
    return InvalidArgument(
        Concat("the array has ", PyArray_NDIM(numpy), " axes, at most ", Shape::kMaxRank, " fit"));
  }
  Result<Slice> data = lent.datatype == DataType::kBytes ? BytesDataOf(numpy, allocator)
                                                         : DataOf(numpy, sharing, allocator);
  if (!data.ok()) return data.status();
  return Tensor{.datatype = lent.datatype, .shape = ShapeOf(numpy), .data = *std::move(data)};
}

}  // namespace despina::bindings
