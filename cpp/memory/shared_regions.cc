#include "memory/shared_regions.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "base/text.h"

namespace despina {
namespace {

Status CannotOpen(const std::string& key) {
  return InvalidArgument(Concat("Unable to open shared memory region: '", key, "'"));
}

// What offsets of files can be.
constexpr auto kMaxOffset = static_cast<uint64_t>(std::numeric_limits<off_t>::max());

// Precondition of both: offset + size do not overflow.
bool Within(uint64_t offset, uint64_t size, uint64_t limit) {
  return offset <= limit && size <= limit - offset;
}

// Whether the open object is memory, and as large as that.
bool Holds(int descriptor, uint64_t offset, uint64_t size) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return false;
  return Within(offset, size, static_cast<uint64_t>(status.st_size));
}

}  // namespace

Result<std::shared_ptr<SharedRegion>> SharedRegion::Open(Place place) {
  if (place.key.find_first_not_of('/') == std::string::npos ||
      place.key.find('\0') != std::string::npos) {
    return InvalidArgument(Concat("shared memory region '", place.name, "' has no key"));
  }
  // Not to wait for who writes to a pipe that has the name of the object.
  const int descriptor = ::shm_open(place.key.c_str(), O_RDWR | O_NONBLOCK, 0);
  if (descriptor < 0) {
    if (errno != EMFILE && errno != ENFILE) return CannotOpen(place.key);
    return Status(Code::kResourceExhausted, "the server has no descriptors left");
  }
  std::shared_ptr<SharedRegion> region(new SharedRegion(std::move(place), descriptor));
  const Place& at = region->place();
  if (!Within(at.offset, at.size, kMaxOffset) || !Holds(descriptor, at.offset, at.size)) {
    return InvalidArgument(
        Concat("failed to register shared memory region '", at.name, "': invalid args"));
  }
  return region;
}

SharedRegion::~SharedRegion() {
  ::close(descriptor_);
  if (last_used_) last_used_();
}

Status SharedRegion::Check(uint64_t offset, uint64_t size) const {
  if (offset > place_.size) {
    return InvalidArgument(Concat("Invalid offset for shared memory region: '", place_.name, "'"));
  }
  if (size > place_.size - offset) {
    return InvalidArgument(
        Concat("Invalid offset + byte size for shared memory region: '", place_.name, "'"));
  }
  return Ok();
}

Status SharedRegion::Gone() const {
  return InvalidArgument(Concat("shared memory region '", place_.name,
                                "' is smaller than it was when it was registered"));
}

Status SharedRegion::Read(uint64_t offset, std::span<std::byte> to) const {
  if (Status status = Check(offset, to.size()); !status.ok()) return status;
  uint64_t at = place_.offset + offset;
  while (!to.empty()) {
    const ssize_t size = ::pread(descriptor_, to.data(), to.size(), static_cast<off_t>(at));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return Gone();
    at += static_cast<uint64_t>(size);
    to = to.subspan(static_cast<size_t>(size));
  }
  return Ok();
}

Status SharedRegion::Write(uint64_t offset, std::span<const std::byte> from) const {
  if (Status status = Check(offset, from.size()); !status.ok()) return status;
  uint64_t at = place_.offset + offset;
  // Writing beyond its end would make it larger.
  if (!Holds(descriptor_, at, from.size())) return Gone();
  while (!from.empty()) {
    const ssize_t size = ::pwrite(descriptor_, from.data(), from.size(), static_cast<off_t>(at));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return Gone();
    at += static_cast<uint64_t>(size);
    from = from.subspan(static_cast<size_t>(size));
  }
  return Ok();
}

Status SharedRegions::Register(SharedRegion::Place place) {
  const std::string name = place.name;
  const auto check = [&]() -> Status {
    if (regions_.contains(name)) {
      return {Code::kAlreadyExists, Concat("shared memory region '", name, "' already in manager")};
    }
    if (regions_.size() < kMaxRegions) return Ok();
    return {Code::kResourceExhausted,
            Concat("there are ", kMaxRegions, " shared memory regions: unregister some")};
  };
  {
    const std::lock_guard lock(mutex_);
    if (Status status = check(); !status.ok()) return status;
  }
  Result<std::shared_ptr<SharedRegion>> region = SharedRegion::Open(std::move(place));
  if (!region.ok()) return region.status();
  const std::lock_guard lock(mutex_);
  Status status = check();
  if (status.ok()) regions_.emplace(name, *std::move(region));
  return status;
}

Result<std::shared_ptr<const SharedRegion>> SharedRegions::Find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = regions_.find(name);
  if (found != regions_.end()) return std::shared_ptr<const SharedRegion>(found->second);
  return NotFound(Concat("Unable to find shared memory region: '", name, "'"));
}

std::vector<SharedRegion::Place> SharedRegions::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<SharedRegion::Place> places;
  places.reserve(regions_.size());
  for (const auto& [name, region] : regions_) places.push_back(region->place());
  return places;
}

void SharedRegions::Unregister(std::string_view name, std::function<void()> done) {
  std::shared_ptr<SharedRegion> region;
  {
    const std::lock_guard lock(mutex_);
    const auto found = regions_.find(name);
    if (found != regions_.end()) {
      region = std::move(found->second);
      regions_.erase(found);
    }
  }
  if (region) {
    region->last_used_ = std::move(done);
  } else {
    done();
  }
}

void SharedRegions::UnregisterAll(std::function<void()> done) {
  std::map<std::string, std::shared_ptr<SharedRegion>, std::less<>> regions;
  {
    const std::lock_guard lock(mutex_);
    regions.swap(regions_);
  }
  // Called when the last of them goes.
  const std::shared_ptr<void> all(nullptr, [done = std::move(done)](void*) { done(); });
  for (const auto& [name, region] : regions) region->last_used_ = [all] {};
}

}  // namespace despina
