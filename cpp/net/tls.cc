#include "net/tls.h"

#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace despina::net {
namespace {

// Of one TLS record.
constexpr size_t kRecordSize = SSL3_RT_MAX_PLAIN_LENGTH;

// The reason of the failure that this thread saw first.
std::string Reason() {
  const unsigned long error = ERR_peek_error();
  const char* const reason = ERR_reason_error_string(error);
  if (reason != nullptr) return reason;
  return error == 0 ? "the connection was closed" : "unknown failure";
}

// Before OpenSSL reads a file. INVALID_ARGUMENT unless it can.
Status CheckReadable(const std::string& file) {
  ERR_clear_error();
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened(std::fopen(file.c_str(), "rbe"),
                                                               &std::fclose);
  char byte = 0;
  // A folder can be opened, and not be read.
  if (opened && std::fread(&byte, 1, 1, opened.get()) == 1) return Ok();
  if (opened && std::feof(opened.get()) != 0) return InvalidArgument("is empty");
  return InvalidArgument(std::generic_category().message(errno));
}

// What is wrong with a file that OpenSSL did not take as one of certificates.
Status RefusedCertificate() {
  const unsigned long error = ERR_peek_error();
  const bool not_pem =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  Status refused = InvalidArgument(not_pem ? "holds no certificate in PEM form"
                                           : Concat("holds no usable certificate: ", Reason()));
  ERR_clear_error();
  return refused;
}

// Instead of asking on the terminal. `asked` is a bool.
int NoPassphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

// The other end's address and port, for the log.
std::string AddressOf(int descriptor) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&name), &size) != 0 ||
      ::getnameinfo(reinterpret_cast<sockaddr*>(&name), size, host.data(), host.size(), port.data(),
                    port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "a client";
  }
  return Concat(host.data(), ":", port.data());
}

}  // namespace

class TlsStream final : public Stream {
 public:
  TlsStream(const TlsContext& context, int descriptor);

  Next Open() override;
  Moved Read(std::span<std::byte> space) override;
  Moved Write(std::span<const std::span<const std::byte>> pieces) override;
  Next EndSending() override;
  void OnClosing() override;
  bool HoldsInput() const override;

  // ALPN's way to choose.
  static int Choose(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void* context);

 private:
  // OpenSSL's own way to a socket would wait for nothing only where the descriptor does not wait,
  // raises a signal where the peer has gone, and does not say whether there was anything to read.
  static const BIO_METHOD* Socket();
  static int ReadSocket(BIO* bio, char* to, int size);
  static int WriteSocket(BIO* bio, const char* from, int size);
  static long ControlSocket(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH; }
  static TlsStream& Of(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  // After a call that did not succeed.
  Next NextAfter(int result);
  void FailToOpen();

  const TlsContext& context_;
  const int descriptor_;
  // Asked for at the beginning: the system does not know it any more when the peer has gone.
  const std::string peer_;
  const std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  // The socket had nothing when it was read last.
  bool socket_empty_ = false;
  // Nothing may be sent any more.
  bool broken_ = false;
};

TlsStream::TlsStream(const TlsContext& context, int descriptor)
    : context_(context),
      descriptor_(descriptor),
      peer_(log::Enabled(log::Level::kVerbose) ? AddressOf(descriptor) : "a client"),
      ssl_(SSL_new(context.context_.get()), &SSL_free) {
  BIO* const bio = ssl_ ? BIO_new(Socket()) : nullptr;
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
}

const BIO_METHOD* TlsStream::Socket() {
  // Not freed: threads may still run while the process ends.
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (made == nullptr) throw std::bad_alloc();
    BIO_meth_set_read(made, &ReadSocket);
    BIO_meth_set_write(made, &WriteSocket);
    BIO_meth_set_ctrl(made, &ControlSocket);
    return made;
  }();
  return method;
}

int TlsStream::ReadSocket(BIO* bio, char* to, int size) {
  TlsStream& stream = Of(bio);
  BIO_clear_retry_flags(bio);
  const ssize_t received = ::recv(stream.descriptor_, to, static_cast<size_t>(size), MSG_DONTWAIT);
  stream.socket_empty_ = received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  if (stream.socket_empty_ || (received < 0 && errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(received);
}

int TlsStream::WriteSocket(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent =
      ::send(Of(bio).descriptor_, from, static_cast<size_t>(size), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    BIO_set_retry_write(bio);
  }
  return static_cast<int>(sent);
}

Stream::Next TlsStream::NextAfter(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      // Also after what is no data; then there may be input that HoldsInput() tells of.
      return Next::kWhenReadable;
    case SSL_ERROR_WANT_WRITE:
      return Next::kWhenWritable;
    case SSL_ERROR_ZERO_RETURN:
      return Next::kNever;
    default:
      broken_ = true;
      return Next::kNever;
  }
}

Stream::Next TlsStream::Open() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return Next::kAtOnce;
  const Next next = NextAfter(result);
  if (next == Next::kNever) FailToOpen();
  return next;
}

void TlsStream::FailToOpen() {
  broken_ = true;
  log::Verbose(Concat("TLS handshake with ", peer_, " failed: ", Reason()));
  const unsigned long error = ERR_peek_error();
  if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST) {
    const std::string& answer = context_.plaintext_answer_;
    ::send(descriptor_, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  ERR_clear_error();
}

Stream::Moved TlsStream::Read(std::span<std::byte> space) {
  ERR_clear_error();
  size_t size = 0;
  const int result = SSL_read_ex(ssl_.get(), space.data(), space.size(), &size);
  if (result != 1) return {0, NextAfter(result)};
  // The socket tells of what it has itself.
  return {size, SSL_has_pending(ssl_.get()) == 1 ? Next::kAtOnce : Next::kWhenReadable};
}

Stream::Moved TlsStream::Write(std::span<const std::span<const std::byte>> pieces) {
  std::span<const std::byte> record = pieces[0].first(std::min(pieces[0].size(), kRecordSize));
  // Each record costs a system call and 22 bytes or more: small pieces share one.
  std::array<std::byte, kRecordSize> gathered;
  if (pieces.size() > 1 && record.size() < kRecordSize) {
    size_t size = 0;
    for (const std::span<const std::byte> piece : pieces) {
      const size_t part = std::min(piece.size(), kRecordSize - size);
      std::memcpy(gathered.data() + size, piece.data(), part);
      size += part;
      if (size == kRecordSize) break;
    }
    record = std::span(gathered).first(size);
  }
  ERR_clear_error();
  size_t size = 0;
  const int result = SSL_write_ex(ssl_.get(), record.data(), record.size(), &size);
  if (result != 1) return {0, NextAfter(result)};
  return {size, Next::kAtOnce};
}

Stream::Next TlsStream::EndSending() {
  ERR_clear_error();
  const int result = SSL_shutdown(ssl_.get());
  const Next next = result < 0 ? NextAfter(result) : Next::kAtOnce;
  if (next == Next::kWhenWritable) return next;
  ::shutdown(descriptor_, SHUT_WR);
  return Next::kAtOnce;
}

void TlsStream::OnClosing() {
  if (broken_ || SSL_is_init_finished(ssl_.get()) == 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

bool TlsStream::HoldsInput() const { return !socket_empty_ && SSL_has_pending(ssl_.get()) == 1; }

int TlsStream::Choose(SSL*, const unsigned char** chosen, unsigned char* size,
                      const unsigned char* offered, unsigned offered_size, void* context) {
  const std::string& ours = static_cast<const TlsContext*>(context)->protocols_;
  // Its type says otherwise; it only reads.
  auto* const found = const_cast<unsigned char**>(chosen);
  const int result =
      SSL_select_next_proto(found, size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), offered, offered_size);
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

TlsContext::TlsContext() : context_(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free) {
  SSL_CTX* const context = context_.get();
  if (context == nullptr) throw std::bad_alloc();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // Of TLS 1.2: forward secrecy and authenticated encryption.
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  // Records are read as they come, and buffers of idle connections are given back.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // A client that sends messages without data must not hold the loop.
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(context, 1);
  // Sessions are resumed from tickets: nothing is kept here. The name ties tickets to this use.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  constexpr std::string_view kName = "despina";
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(kName.data()),
                                 kName.size());
}

TlsContext::~TlsContext() = default;

Status TlsContext::UseCertificate(const std::string& file) {
  Status status = CheckReadable(file);
  if (status.ok() && SSL_CTX_use_certificate_chain_file(context_.get(), file.c_str()) != 1) {
    status = RefusedCertificate();
  }
  return status;
}

Status TlsContext::UseKey(const std::string& file) {
  Status status = CheckReadable(file);
  if (!status.ok()) return status;
  const std::unique_ptr<BIO, int (*)(BIO*)> opened(BIO_new_file(file.c_str(), "r"), &BIO_free);
  bool encrypted = false;
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      PEM_read_bio_PrivateKey(opened.get(), nullptr, &NoPassphrase, &encrypted), &EVP_PKEY_free);
  if (encrypted) {
    status = InvalidArgument("is encrypted; the server needs a key without a passphrase");
  } else if (!key) {
    status = InvalidArgument("holds no private key in PEM form");
  } else if (SSL_CTX_use_PrivateKey(context_.get(), key.get()) != 1 ||
             SSL_CTX_check_private_key(context_.get()) != 1) {
    status = InvalidArgument("does not fit the certificate");
  }
  ERR_clear_error();
  return status;
}

Status TlsContext::RequireClientCertificates(const std::string& file) {
  Status status = CheckReadable(file);
  if (!status.ok()) return status;
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(file.c_str());
  if (names == nullptr) return RefusedCertificate();
  SSL_CTX_set_client_CA_list(context_.get(), names);
  if (SSL_CTX_load_verify_file(context_.get(), file.c_str()) != 1) return RefusedCertificate();
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return Ok();
}

void TlsContext::SetProtocols(const std::vector<std::string>& names) {
  protocols_.clear();
  for (const std::string& name : names) {
    protocols_ += static_cast<char>(name.size());
    protocols_ += name;
  }
  SSL_CTX_set_alpn_select_cb(context_.get(), &TlsStream::Choose, this);
}

std::unique_ptr<Stream> TlsContext::Accept(int descriptor) const {
  return std::make_unique<TlsStream>(*this, descriptor);
}

}  // namespace despina::net
