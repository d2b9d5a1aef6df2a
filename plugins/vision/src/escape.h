// The way out of a C library that leaves by longjmp where it cannot go on.
#pragma once

#include <csetjmp>
#include <cstdio>

namespace vision {

// One for each object of the library, whose error handler calls Leave().
class Escape {
 public:
  // False if the library has left. The frames that it passes are its own and those of `work` and of
  // what that calls: none of them may have anything to destroy.
  template <class Decoder>
  bool Attempt(Decoder* decoder, void (*work)(Decoder*)) {
    if (setjmp(place_) != 0) return false;
    work(decoder);
    return true;
  }

  [[noreturn]] void Leave(const char* reason) {
    std::snprintf(reason_, sizeof reason_, "%s", reason);
    std::longjmp(place_, 1);
  }
  // Why it has left.
  const char* reason() const { return reason_; }

 private:
  std::jmp_buf place_{};
  char reason_[256]{};
};

}  // namespace vision
