// A blocking HTTP client for tests, which can also misbehave.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cctype>
#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/descriptor.h"
#include "net/testing/tls_client.h"

namespace despina::http::testing {

struct Reply {
  int status = 0;
  // Names in lower case.
  std::map<std::string, std::string> fields;
  std::string body;
};

class Client {
 public:
  explicit Client(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  // Through TLS.
  Client(uint16_t port, const net::testing::TlsClient::Options& options) : Client(port) {
    tls_ = std::make_unique<net::testing::TlsClient>(std::move(socket_), options);
    connected_ = connected_ && tls_->Connect();
  }

  bool connected() const { return connected_; }
  int descriptor() const { return tls_ ? tls_->descriptor() : socket_.get(); }

  // False when the server does not take it any more.
  bool Send(std::string_view bytes) {
    if (tls_) return tls_->Send(bytes);
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  // Nothing when the server has closed, or sent what is no answer.
  std::optional<Reply> Read(bool has_body = true) {
    size_t end = 0;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!Receive()) return std::nullopt;
    }
    Reply reply;
    ParseHead(received_.substr(0, end + 2), reply);
    received_.erase(0, end + 4);
    const auto length = reply.fields.find("content-length");
    if (!has_body || length == reply.fields.end()) return reply;
    const size_t size = std::stoull(length->second);
    while (received_.size() < size) {
      if (!Receive()) return std::nullopt;
    }
    reply.body = received_.substr(0, size);
    received_.erase(0, size);
    return reply;
  }

  // The next chunk of a body whose head was read; empty for the last one, nothing when the server
  // has closed.
  std::optional<std::string> ReadChunk() {
    size_t line = 0;
    while ((line = received_.find("\r\n")) == std::string::npos) {
      if (!Receive()) return std::nullopt;
    }
    const size_t size = std::stoull(received_.substr(0, line), nullptr, 16);
    const size_t whole = line + 2 + size + 2;
    while (received_.size() < whole) {
      if (!Receive()) return std::nullopt;
    }
    std::string chunk = received_.substr(line + 2, size);
    received_.erase(0, whole);
    return chunk;
  }

  std::optional<Reply> Ask(std::string_view request) {
    if (!Send(request)) return std::nullopt;
    return Read();
  }

  // True when the server closes in the proper way, and sends nothing before that.
  bool SeesEnd() {
    if (tls_) return received_.empty() && tls_->SeesEnd();
    char byte = 0;
    return received_.empty() && ::recv(socket_.get(), &byte, 1, 0) == 0;
  }
  void EndSending() { ::shutdown(descriptor(), SHUT_WR); }
  // Makes the kernel send a reset.
  void Reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    Close();
  }
  void Close() {
    tls_.reset();
    socket_ = net::Descriptor();
  }

 private:
  bool Receive() {
    if (tls_) {
      const std::string part = tls_->Receive();
      received_ += part;
      return !part.empty();
    }
    char buffer[16384];
    const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (size <= 0) return false;
    received_.append(buffer, static_cast<size_t>(size));
    return true;
  }

  static void ParseHead(std::string_view head, Reply& reply) {
    reply.status = std::stoi(std::string(head.substr(head.find(' ') + 1, 3)));
    head.remove_prefix(head.find("\r\n") + 2);
    while (!head.empty()) {
      const std::string_view line = head.substr(0, head.find("\r\n"));
      head.remove_prefix(line.size() + 2);
      const size_t colon = line.find(':');
      std::string name(line.substr(0, colon));
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      reply.fields[name] = line.substr(colon + 2);
    }
  }

  net::Descriptor socket_;
  std::unique_ptr<net::testing::TlsClient> tls_;
  bool connected_ = false;
  std::string received_;
};

}  // namespace despina::http::testing
