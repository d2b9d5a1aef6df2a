// A thread that carries a name and is always joined.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace despina {

class Thread {
 public:
  Thread() = default;
  // `name` shows in debuggers and in /proc; the system cuts it to 15 characters.
  Thread(std::string name, std::function<void()> body);
  Thread(Thread&&) noexcept = default;
  Thread& operator=(Thread&& other) noexcept;
  ~Thread() { Join(); }

  // Waits for the body to return; nothing when it was joined before.
  void Join();
  bool joinable() const { return thread_.joinable(); }

 private:
  std::thread thread_;
};

// Names the calling thread.
void NameThisThread(const std::string& name);

}  // namespace despina
