// A server that answers as it is told, whatever it is asked, for tests.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>

#include "net/descriptor.h"
#include "net/listener.h"

namespace despina::load::testing {

// A server that sends one text to each connection that has sent something, and closes.
class OddServer {
 public:
  explicit OddServer(std::string text) : text_(std::move(text)) {
    auto listening = net::Listen("127.0.0.1", 0, 1);
    port_ = (*listening)[0].port;
    listening_ = std::move((*listening)[0].descriptor);
    thread_ = std::thread([this] { Serve(); });
  }
  ~OddServer() {
    ended_ = true;
    thread_.join();
  }
  uint16_t port() const { return port_; }

 private:
  void Serve() {
    while (!ended_) {
      const net::Descriptor peer(::accept(listening_.get(), nullptr, nullptr));
      if (!peer) {
        std::this_thread::yield();
        continue;
      }
      char request[4096];
      if (::recv(peer.get(), request, sizeof request, 0) <= 0) continue;
      ::send(peer.get(), text_.data(), text_.size(), MSG_NOSIGNAL);
    }
  }

  const std::string text_;
  uint16_t port_ = 0;
  net::Descriptor listening_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace despina::load::testing
