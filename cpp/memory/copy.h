// Copies of tensors' data. Each is counted, so that tests can say that there are none.
#pragma once

#include <cstddef>
#include <cstdint>

namespace despina {

struct CopyStatistics {
  uint64_t copies = 0;  // of a tensor, or of one request's part of it
  uint64_t bytes = 0;
};

// Any thread.
void CopyTensorData(std::byte* to, const void* from, size_t size);
// For copies that are made in another way, such as element by element.
void CountTensorCopy(size_t size);
// Of the whole process, so far.
CopyStatistics TensorCopies();

}  // namespace despina
