// Shared memory of the system that clients have made, and lend the server under a name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace despina {

// Part of a shared memory object. It is read and written by copying, through its descriptor: its
// owner may change it at any time, or make it smaller, which would kill a server that had mapped
// it. Any thread.
class SharedRegion {
 public:
  // As clients name it.
  struct Place {
    std::string name;
    std::string key;
    uint64_t offset = 0;
    uint64_t size = 0;
  };

  // INVALID_ARGUMENT where there is no such object, or the place is not within it.
  static Result<std::shared_ptr<SharedRegion>> Open(Place place);
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;
  // Tells who waits for the last user.
  ~SharedRegion();

  const Place& place() const { return place_; }
  // INVALID_ARGUMENT unless so many bytes from there on are within the region.
  Status Check(uint64_t offset, uint64_t size) const;
  // The same where the object is not as large any more; then what was copied is of no use.
  Status Read(uint64_t offset, std::span<std::byte> to) const;
  Status Write(uint64_t offset, std::span<const std::byte> from) const;

 private:
  friend class SharedRegions;
  SharedRegion(Place place, int descriptor) : place_(std::move(place)), descriptor_(descriptor) {}
  Status Gone() const;

  const Place place_;
  const int descriptor_;
  // Set before the registry lets go of it.
  std::function<void()> last_used_;
};

// Those of one server, by name. Any thread.
class SharedRegions {
 public:
  // So many at a time: each holds a descriptor.
  static constexpr size_t kMaxRegions = 4096;

  // ALREADY_EXISTS: there is one of that name. RESOURCE_EXHAUSTED: there are too many.
  Status Register(SharedRegion::Place place);
  // NOT_FOUND.
  Result<std::shared_ptr<const SharedRegion>> Find(std::string_view name) const;
  std::vector<SharedRegion::Place> All() const;
  // The name is free at once. `done` is called once nobody uses the region any more, on any thread,
  // perhaps before this returns; also where there is no such region.
  void Unregister(std::string_view name, std::function<void()> done);
  // Of all of them.
  void UnregisterAll(std::function<void()> done);

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::string, std::shared_ptr<SharedRegion>, std::less<>> regions_;
};

}  // namespace despina
