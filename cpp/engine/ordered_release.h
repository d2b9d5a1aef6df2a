// Gives requests back in the order in which they came, whichever is answered first.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "engine/request.h"
#include "engine/submit.h"

namespace despina {

// Any thread. Every request that got a sequence number from the batch source passes here once.
class OrderedRelease {
 public:
  // Keeps the request until all before it have passed; gives back what is due.
  void Pass(std::unique_ptr<Request> request, Turn& turn);

 private:
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<uint64_t, std::unique_ptr<Request>> held_;
  uint64_t next_ = 1;
  bool releasing_ = false;
};

}  // namespace despina
