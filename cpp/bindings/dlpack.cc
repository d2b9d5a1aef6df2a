#include "bindings/dlpack.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "base/text.h"
#include "bindings/errors.h"
#include "bindings/numpy_api.h"

namespace despina::bindings {
namespace {

// -- The layout that DLPack 1.0 lays down, with and without a version.

struct Device {
  int32_t type;
  int32_t number;
};
struct ElementType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};
struct LentTensor {
  void* data;
  Device device;
  int32_t rank;
  ElementType element;
  const int64_t* shape;
  // Elements from one to the next along each axis; null: row-major.
  const int64_t* strides;
  uint64_t byte_offset;
};
struct Unversioned {
  static constexpr const char* kName = "dltensor";
  static constexpr const char* kTaken = "used_dltensor";

  LentTensor tensor;
  void* lender;
  void (*release)(Unversioned*);
};
struct Versioned {
  static constexpr const char* kName = "dltensor_versioned";
  static constexpr const char* kTaken = "used_dltensor_versioned";

  uint32_t major;
  uint32_t minor;
  void* lender;
  void (*release)(Versioned*);
  uint64_t flags;
  LentTensor tensor;
};
static_assert(sizeof(LentTensor) == 48 && offsetof(Unversioned, release) == 56);
static_assert(offsetof(Versioned, release) == 16 && offsetof(Versioned, tensor) == 32);

constexpr uint32_t kMajor = 1;

enum DeviceType : int32_t {
  kCpu = 1,
  kCuda = 2,
  kCudaHost = 3,
  kMetal = 8,
  kRocm = 10,
  kRocmHost = 11,
};

enum ElementCode : uint8_t { kInt = 0, kUnsigned = 1, kFloat = 2, kBfloat = 4, kBoolean = 6 };

struct Carried {
  ElementCode code;
  uint8_t bits;
  DataType datatype;
  int numpy;
};
constexpr std::array<Carried, 13> kCarried = {{
    {kBoolean, 8, DataType::kBool, NPY_BOOL},
    {kUnsigned, 8, DataType::kUint8, NPY_UINT8},
    {kUnsigned, 16, DataType::kUint16, NPY_UINT16},
    {kUnsigned, 32, DataType::kUint32, NPY_UINT32},
    {kUnsigned, 64, DataType::kUint64, NPY_UINT64},
    {kInt, 8, DataType::kInt8, NPY_INT8},
    {kInt, 16, DataType::kInt16, NPY_INT16},
    {kInt, 32, DataType::kInt32, NPY_INT32},
    {kInt, 64, DataType::kInt64, NPY_INT64},
    {kFloat, 16, DataType::kFp16, NPY_HALF},
    {kFloat, 32, DataType::kFp32, NPY_FLOAT},
    {kFloat, 64, DataType::kFp64, NPY_DOUBLE},
    {kBfloat, 16, DataType::kBf16, NPY_UINT16},
}};

std::string NameOf(const Device& device) {
  switch (device.type) {
    case kCuda:
      return Concat("cuda:", device.number);
    case kRocm:
      return Concat("rocm:", device.number);
    case kMetal:
      return Concat("metal:", device.number);
    default:
      return Concat("the device ", device.number, " of DLPack's type ", device.type);
  }
}

Status CheckDevice(const Device& device) {
  if (device.type == kCpu || device.type == kCudaHost || device.type == kRocmHost) return Ok();
  return InvalidArgument(Concat("the tensor lies on ", NameOf(device),
                                ", but only memory of the host is taken: copy it there first"));
}

// -- What the object says

// Asked before the tensor itself, for which a device might have to do something.
Status AskForDevice(PyObject* object) {
  const Reference pair(PyObject_CallMethod(object, "__dlpack_device__", nullptr));
  if (!pair) return InvalidArgument(TakeException().message());
  Device device{};
  if (!PyTuple_Check(pair.get()) ||
      !PyArg_ParseTuple(pair.get(), "ii", &device.type, &device.number)) {
    PyErr_Clear();
    return InvalidArgument("__dlpack_device__() does not give two numbers");
  }
  return CheckDevice(device);
}

// Null with an exception set.
Reference AskForCapsule(PyObject* object) {
  const Reference method(PyObject_GetAttrString(object, "__dlpack__"));
  const Reference nothing(PyTuple_New(0));
  const Reference version(Py_BuildValue("{s(ii)}", "max_version", kMajor, 0));
  if (!method || !nothing || !version) return {};
  Reference capsule(PyObject_Call(method.get(), nothing.get(), version.get()));
  if (capsule || PyErr_ExceptionMatches(PyExc_TypeError) == 0) return capsule;
  // Made before there were versions.
  PyErr_Clear();
  return Reference(PyObject_CallNoArgs(method.get()));
}

// -- Taking over

constexpr const char* kOwned = "despina.dlpack";

template <class Managed>
void Release(PyObject* owner) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(owner, kOwned));
  if (managed->release != nullptr) managed->release(managed);
}

struct Taken {
  // Releases the tensor when it goes; null with an exception set.
  Reference owner;
  const LentTensor* tensor = nullptr;
  uint32_t major = kMajor;
};

template <class Managed>
Taken Take(PyObject* capsule) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::kName));
  Taken taken{Reference(PyCapsule_New(managed, kOwned, Release<Managed>)), nullptr, kMajor};
  // From now on whoever else holds the capsule sees that the tensor is not his.
  if (taken.owner) PyCapsule_SetName(capsule, Managed::kTaken);
  if constexpr (std::is_same_v<Managed, Versioned>) taken.major = managed->major;
  // Where it lies depends on the version.
  if (taken.major == kMajor) taken.tensor = &managed->tensor;
  return taken;
}

// -- What the tensor says of itself

const Carried* Find(const ElementType& element) {
  for (const Carried& each : kCarried) {
    if (each.code == element.code && each.bits == element.bits && element.lanes == 1) return &each;
  }
  return nullptr;
}

Result<Shape> ShapeOf(const LentTensor& tensor) {
  if (tensor.rank < 0 || static_cast<size_t>(tensor.rank) > Shape::kMaxRank) {
    return InvalidArgument(
        Concat("the tensor has ", tensor.rank, " axes, at most ", Shape::kMaxRank, " fit"));
  }
  if (tensor.rank > 0 && tensor.shape == nullptr) {
    return InvalidArgument("the tensor has axes, but no shape");
  }
  return Shape(std::span(tensor.shape, static_cast<size_t>(tensor.rank)));
}

// In bytes, for a tensor that has elements; nothing when they do not fit.
using Strides = std::array<npy_intp, Shape::kMaxRank>;
std::optional<Strides> StridesOf(const LentTensor& tensor, const Shape& shape, int64_t size) {
  Strides strides{};
  int64_t compact = size;
  for (size_t axis = shape.rank(); axis-- > 0;) {
    int64_t stride = compact;
    if (tensor.strides != nullptr && __builtin_mul_overflow(tensor.strides[axis], size, &stride)) {
      return std::nullopt;
    }
    strides[axis] = stride;
    compact *= shape[axis];  // the whole is known to fit
  }
  return strides;
}

// Where the first element lies, if all that the strides reach is within the address space.
std::byte* FirstElement(const LentTensor& tensor, const Shape& shape, const Strides& strides,
                        int64_t size) {
  int64_t begin = 0;
  if (__builtin_add_overflow(reinterpret_cast<uintptr_t>(tensor.data), tensor.byte_offset,
                             &begin)) {
    return nullptr;
  }
  int64_t low = begin;
  int64_t high = begin;
  if (__builtin_add_overflow(high, size, &high)) return nullptr;
  for (size_t axis = 0; axis < shape.rank(); ++axis) {
    int64_t reach = 0;
    if (__builtin_mul_overflow(strides[axis], shape[axis] - 1, &reach)) return nullptr;
    int64_t& end = reach < 0 ? low : high;
    if (__builtin_add_overflow(end, reach, &end)) return nullptr;
  }
  return low > 0 ? static_cast<std::byte*>(tensor.data) + tensor.byte_offset : nullptr;
}

// A read-only array of numpy's over the tensor.
Result<LentArray> ArrayOver(const LentTensor& tensor, Reference owner) {
  if (Status status = CheckDevice(tensor.device); !status.ok()) return status;
  const Carried* carried = Find(tensor.element);
  if (carried == nullptr) {
    return InvalidArgument(Concat("no datatype carries elements of ", tensor.element.lanes, " x ",
                                  tensor.element.bits, " bits of DLPack's type ",
                                  tensor.element.code));
  }
  Result<Shape> shape = ShapeOf(tensor);
  if (!shape.ok()) return shape.status();
  const std::optional<uint64_t> bytes = ByteSize(carried->datatype, *shape);
  if (!bytes || *bytes > static_cast<uint64_t>(INT64_MAX)) {
    return InvalidArgument(Concat("no tensor has the shape ", ToText(*shape)));
  }
  if (*bytes > 0 && tensor.data == nullptr) return InvalidArgument("the tensor has no memory");
  std::optional<Strides> strides;
  std::byte* data = nullptr;
  if (*bytes > 0) {
    const auto size = static_cast<int64_t>(ElementSize(carried->datatype));
    strides = StridesOf(tensor, *shape, size);
    data = strides ? FirstElement(tensor, *shape, *strides, size) : nullptr;
    if (data == nullptr) {
      return InvalidArgument("the tensor's address and strides lead out of the memory");
    }
  }
  std::array<npy_intp, Shape::kMaxRank> dims{};
  for (size_t axis = 0; axis < shape->rank(); ++axis) dims[axis] = (*shape)[axis];
  Reference array(PyArray_New(&PyArray_Type, tensor.rank, dims.data(), carried->numpy,
                              strides ? strides->data() : nullptr, data, 0, 0, nullptr));
  auto* numpy = reinterpret_cast<PyArrayObject*>(array.get());
  if (!array || PyArray_SetBaseObject(numpy, owner.release()) != 0) {
    return InvalidArgument(TakeException().message());
  }
  PyArray_CLEARFLAGS(numpy, NPY_ARRAY_WRITEABLE);
  return LentArray{std::move(array), carried->datatype};
}

}  // namespace

bool LendsByDlpack(PyObject* object) {
  return PyObject_HasAttrString(reinterpret_cast<PyObject*>(Py_TYPE(object)), "__dlpack__") == 1;
}

Result<LentArray> BorrowByDlpack(PyObject* object) {
  if (Status status = AskForDevice(object); !status.ok()) return status;
  const Reference capsule = AskForCapsule(object);
  if (!capsule) return InvalidArgument(TakeException().message());
  Taken taken;
  if (PyCapsule_IsValid(capsule.get(), Versioned::kName) != 0) {
    taken = Take<Versioned>(capsule.get());
  } else if (PyCapsule_IsValid(capsule.get(), Unversioned::kName) != 0) {
    taken = Take<Unversioned>(capsule.get());
  } else {
    return InvalidArgument("__dlpack__() does not give the capsule of a tensor");
  }
  if (!taken.owner) return InvalidArgument(TakeException().message());
  if (taken.tensor == nullptr) {
    return InvalidArgument(Concat("the tensor comes with version ", taken.major,
                                  " of DLPack, known is version ", kMajor));
  }
  return ArrayOver(*taken.tensor, std::move(taken.owner));
}

}  // namespace despina::bindings
