// Whose code is running on this thread, for the lines of the log that it causes.
#pragma once

#include <string_view>

namespace despina::host {

// Names whose code is running, while it lives.
class Calling {
 public:
  // `who` must outlive this.
  explicit Calling(std::string_view who);
  ~Calling();
  Calling(const Calling&) = delete;
  Calling& operator=(const Calling&) = delete;

 private:
  const std::string_view before_;
};

std::string_view Caller();

// Says in the log that a call which cannot fail was made against its rules; by the caller, unless
// `who` is known better.
void Complain(std::string_view call, std::string_view why, std::string_view who = Caller());

}  // namespace despina::host
