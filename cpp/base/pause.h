// How a thread waits awake.
#pragma once

namespace despina {

// 10 to 45 ns in which a core leaves the other threads of it more room.
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace despina
