// Keys and certificates that tests make for themselves.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace despina::net::testing {

using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using Certificate = std::unique_ptr<X509, void (*)(X509*)>;

inline Key EcKey() { return {EVP_EC_gen("P-256"), &EVP_PKEY_free}; }
inline Key RsaKey() { return {EVP_RSA_gen(2048), &EVP_PKEY_free}; }

// Valid for a day, for the name "localhost". Signed by `issuer` with `issuer_key`, or by itself.
inline Certificate Certify(EVP_PKEY* key, std::string_view name, X509* issuer = nullptr,
                           EVP_PKEY* issuer_key = nullptr) {
  Certificate made(X509_new(), &X509_free);
  X509_set_version(made.get(), X509_VERSION_3);
  static long serial = 0;
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 24L * 3600);
  X509_set_pubkey(made.get(), key);
  X509_NAME* const subject = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.data()),
                             static_cast<int>(name.size()), -1, 0);
  X509_set_issuer_name(made.get(), issuer != nullptr ? X509_get_subject_name(issuer) : subject);
  const auto extend = [&made](int kind, const char* value) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
    X509_add_ext(made.get(), extension, -1);
    X509_EXTENSION_free(extension);
  };
  extend(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
  extend(NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  X509_sign(made.get(), issuer_key != nullptr ? issuer_key : key, EVP_sha256());
  return made;
}

// A folder of PEM files, gone with this: an authority, a server and a client that it vouches for,
// and a stranger that vouches for itself.
class Certificates {
 public:
  Certificates() {
    std::string pattern = (std::filesystem::temp_directory_path() / "despina-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    const Key authority_key = EcKey();
    const Certificate authority = Certify(authority_key.get(), "authority");
    Write("authority.pem", *authority);
    for (const std::string name : {"server", "client"}) {
      const Key key = EcKey();
      Write(name + ".key", *key);
      Write(name + ".pem", *Certify(key.get(), name, authority.get(), authority_key.get()));
    }
    const Key key = EcKey();
    Write("stranger.key", *key);
    Write("stranger.pem", *Certify(key.get(), "stranger"));
  }
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;
  ~Certificates() { std::filesystem::remove_all(folder_); }

  std::string File(std::string_view name) const { return (folder_ / name).string(); }

  std::string Write(std::string_view name, X509& certificate) const {
    std::FILE* const file = std::fopen(File(name).c_str(), "w");
    PEM_write_X509(file, &certificate);
    std::fclose(file);
    return File(name);
  }
  // Encrypted when there is a passphrase.
  std::string Write(std::string_view name, EVP_PKEY& key, std::string passphrase = "") const {
    std::FILE* const file = std::fopen(File(name).c_str(), "w");
    PEM_write_PrivateKey(file, &key, passphrase.empty() ? nullptr : EVP_aes_128_cbc(),
                         reinterpret_cast<unsigned char*>(passphrase.data()),
                         static_cast<int>(passphrase.size()), nullptr, nullptr);
    std::fclose(file);
    return File(name);
  }
  std::string Write(std::string_view name, std::string_view text) const {
    std::FILE* const file = std::fopen(File(name).c_str(), "w");
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
    return File(name);
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace despina::net::testing
