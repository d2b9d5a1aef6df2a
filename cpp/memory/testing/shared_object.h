// Shared memory as a client makes it, for tests.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/text.h"

namespace despina::testing {

class SharedObject {
 public:
  explicit SharedObject(size_t size, std::string_view suffix = "")
      : key_(Concat("/despina_test_", getpid(), suffix)),
        descriptor_(::shm_open(key_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600)) {
    Resize(size);
  }
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;
  ~SharedObject() {
    ::close(descriptor_);
    ::shm_unlink(key_.c_str());
  }

  const std::string& key() const { return key_; }
  void Resize(size_t size) { EXPECT_EQ(::ftruncate(descriptor_, static_cast<off_t>(size)), 0); }
  void Put(std::string_view text, size_t at) {
    EXPECT_EQ(::pwrite(descriptor_, text.data(), text.size(), static_cast<off_t>(at)),
              static_cast<ssize_t>(text.size()));
  }
  std::string Get(size_t at, size_t size) const {
    std::string text(size, '\0');
    EXPECT_EQ(::pread(descriptor_, text.data(), size, static_cast<off_t>(at)),
              static_cast<ssize_t>(size));
    return text;
  }
  size_t size() const {
    struct stat status {};
    EXPECT_EQ(::fstat(descriptor_, &status), 0);
    return static_cast<size_t>(status.st_size);
  }

 private:
  const std::string key_;
  const int descriptor_;
};

}  // namespace despina::testing
