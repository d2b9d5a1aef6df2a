// TLS on accepted sockets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "net/stream.h"

struct ssl_ctx_st;
struct ssl_st;

namespace despina::net {

// What the TLS connections of a server have in common. Made on one thread; Accept() on any.
class TlsContext {
 public:
  TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  // Files in PEM form. INVALID_ARGUMENT says what is wrong with the file, without its name.
  // The server's certificate, with those that lead to its authority behind it.
  Status UseCertificate(const std::string& file);
  // Its key, which is not encrypted. To be called after UseCertificate().
  Status UseKey(const std::string& file);
  // Certificates of authorities: from now on clients need a certificate of one of them.
  Status RequireClientCertificates(const std::string& file);

  // What is spoken, by ALPN's names, the preferred one first. A client that names others only is
  // refused; one that names none is taken to know.
  void SetProtocols(const std::vector<std::string>& names);
  // What a client is told that speaks HTTP without TLS.
  void SetPlaintextAnswer(std::string answer) { plaintext_answer_ = std::move(answer); }

  // The context must outlive the stream.
  std::unique_ptr<Stream> Accept(int descriptor) const;

 private:
  friend class TlsStream;

  const std::unique_ptr<ssl_ctx_st, void (*)(ssl_ctx_st*)> context_;
  // As the handshake has it: each name behind its length.
  std::string protocols_;
  std::string plaintext_answer_;
};

}  // namespace despina::net
