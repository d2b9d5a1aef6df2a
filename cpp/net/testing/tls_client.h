// A blocking TLS client for tests.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "net/descriptor.h"

namespace despina::net::testing {

class TlsClient {
 public:
  using Session = std::shared_ptr<SSL_SESSION>;
  struct Options {
    // The server's authority.
    std::string authority;
    // Of the client; both in PEM files.
    std::string certificate{};
    std::string key{};
    // As ALPN has them: each name behind its length.
    std::string protocols{};
    int version = TLS1_3_VERSION;
    // To be resumed.
    Session session{};
  };

  TlsClient(Descriptor socket, const Options& options)
      : socket_(std::move(socket)),
        context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free),
        ssl_(nullptr, &SSL_free) {
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    SSL_CTX_set_min_proto_version(context_.get(), options.version);
    SSL_CTX_set_max_proto_version(context_.get(), options.version);
    // Old versions are not even offered otherwise.
    if (options.version < TLS1_2_VERSION) SSL_CTX_set_security_level(context_.get(), 0);
    SSL_CTX_load_verify_file(context_.get(), options.authority.c_str());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    if (!options.certificate.empty()) {
      SSL_CTX_use_certificate_chain_file(context_.get(), options.certificate.c_str());
      SSL_CTX_use_PrivateKey_file(context_.get(), options.key.c_str(), SSL_FILETYPE_PEM);
    }
    ssl_.reset(SSL_new(context_.get()));
    if (!options.protocols.empty()) {
      SSL_set_alpn_protos(ssl_.get(),
                          reinterpret_cast<const unsigned char*>(options.protocols.data()),
                          static_cast<unsigned>(options.protocols.size()));
    }
    if (options.session) SSL_set_session(ssl_.get(), options.session.get());
    SSL_set_fd(ssl_.get(), socket_.get());
  }

  // Of TLS 1.3 this succeeds before the server has looked at the client's certificate.
  bool Connect() { return SSL_connect(ssl_.get()) == 1; }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const int sent = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // What comes at once, which is one record at most; nothing when the server has closed.
  std::string Receive() {
    std::array<char, SSL3_RT_MAX_PLAIN_LENGTH> buffer{};
    const int got = SSL_read(ssl_.get(), buffer.data(), buffer.size());
    return got > 0 ? std::string(buffer.data(), static_cast<size_t>(got)) : std::string();
  }
  // Less when the server closes before.
  std::string Receive(size_t size) {
    std::string all;
    while (all.size() < size) {
      const std::string part = Receive();
      if (part.empty()) break;
      all += part;
    }
    return all;
  }
  // The server has said that nothing more comes, and sent nothing before.
  bool SeesEnd() {
    ERR_clear_error();
    char byte = 0;
    const int got = SSL_read(ssl_.get(), &byte, 1);
    return got == 0 && SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN;
  }
  void SayEnd() { SSL_shutdown(ssl_.get()); }
  // Asks for new keys of both directions, with the next Send().
  void RenewKeys() { SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED); }
  void Close() { socket_ = Descriptor(); }

  int descriptor() const { return socket_.get(); }
  // What was agreed on.
  std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  // Of TLS 1.3 once something has been received.
  Session session() const {
    // The session itself is spoilt where this ends without saying so.
    return {SSL_SESSION_dup(SSL_get0_session(ssl_.get())), &SSL_SESSION_free};
  }

 private:
  Descriptor socket_;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
};

}  // namespace despina::net::testing
