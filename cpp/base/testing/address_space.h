// Memory that there is none of, for tests of what is said then.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>

namespace despina::testing {

// While it lives, the process gets at most `more` bytes of address space beyond those that it has.
// Sanitizers need more than any test would leave: those skip it.
class LittleAddressSpace {
 public:
  explicit LittleAddressSpace(size_t more) {
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    if (::getrlimit(RLIMIT_AS, &before_) != 0) return;
    rlimit little = before_;
    little.rlim_cur = pages * static_cast<size_t>(::sysconf(_SC_PAGESIZE)) + more;
    limited_ = pages > 0 && ::setrlimit(RLIMIT_AS, &little) == 0;
  }
  LittleAddressSpace(const LittleAddressSpace&) = delete;
  LittleAddressSpace& operator=(const LittleAddressSpace&) = delete;
  ~LittleAddressSpace() {
    if (limited_) ::setrlimit(RLIMIT_AS, &before_);
  }

  // False where the system did not let it.
  bool limited() const { return limited_; }

 private:
  rlimit before_{};
  bool limited_ = false;
};

}  // namespace despina::testing
