#include "bindings/http_binding.h"

#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "bindings/engine_error.h"
#include "bindings/seconds.h"
#include "http/server.h"
#include "net/tls.h"

namespace py = pybind11;

namespace despina::bindings {
namespace {

using frontend::AccessRules;
using frontend::HeaderForwarding;
using http::Cors;
using net::TlsContext;

http::Options MakeHttpOptions(std::string address, uint16_t port, unsigned threads,
                              std::string server_name, std::string server_version,
                              std::shared_ptr<TlsContext> tls, std::shared_ptr<Cors> cors,
                              std::shared_ptr<AccessRules> access,
                              std::shared_ptr<HeaderForwarding> forwarding, size_t max_body_bytes,
                              size_t max_header_bytes, size_t max_connections,
                              uint64_t max_bytes_in_flight, double header_timeout,
                              double body_timeout, double idle_timeout, bool allow_shared_memory,
                              bool log_access) {
  http::Options options;
  options.address = std::move(address);
  options.port = port;
  options.threads = threads;
  options.server_name = std::move(server_name);
  options.server_version = std::move(server_version);
  options.tls = std::move(tls);
  options.cors = std::move(cors);
  options.access = std::move(access);
  options.forwarding = std::move(forwarding);
  options.max_body_bytes = max_body_bytes;
  options.max_header_bytes = max_header_bytes;
  options.max_connections = max_connections;
  options.max_bytes_in_flight = max_bytes_in_flight;
  options.header_timeout = Seconds(header_timeout);
  options.body_timeout = Seconds(body_timeout);
  options.idle_timeout = Seconds(idle_timeout);
  options.allow_shared_memory = allow_shared_memory;
  options.log_access = log_access;
  return options;
}

std::shared_ptr<HeaderForwarding> MakeForwarding(const std::string& pattern) {
  auto made = HeaderForwarding::Make(pattern);
  if (!made.ok()) throw EngineError(made.status());
  return *std::move(made);
}

// A file's path in, or an error that says what is wrong with the file.
template <Status (TlsContext::*function)(const std::string&)>
void Use(TlsContext& context, const std::string& file) {
  ThrowUnlessOk((context.*function)(file));
}

}  // namespace

void BindHttpOptions(py::module_& module) {
  py::class_<TlsContext, std::shared_ptr<TlsContext>>(module, "TlsContext",
                                                      "What a front end's TLS needs, from files.")
      .def(py::init<>())
      .def("use_certificate", &Use<&TlsContext::UseCertificate>, py::arg("file"),
           "The server's certificate and those that lead to its authority.")
      .def("use_key", &Use<&TlsContext::UseKey>, py::arg("file"), "The certificate's key.")
      .def("require_client_certificates", &Use<&TlsContext::RequireClientCertificates>,
           py::arg("file"), "Certificates of the authorities that clients need one of.");
  py::class_<Cors, std::shared_ptr<Cors>>(module, "Cors",
                                          "Whose pages may use the server from elsewhere.")
      .def(py::init<>())
      .def(
          "allow", [](Cors& cors, const std::string& origin) { ThrowUnlessOk(cors.Allow(origin)); },
          py::arg("origin"), "Pages of this origin, or of all: *.");
  py::class_<AccessRules, std::shared_ptr<AccessRules>>(module, "AccessRules",
                                                        "What needs a secret, and which.")
      .def(py::init<>())
      .def(
          "restrict",
          [](AccessRules& rules, const std::string& api, const std::string& header,
             const std::string& value) { ThrowUnlessOk(rules.Restrict(api, header, value)); },
          py::arg("api"), py::arg("header"), py::arg("value"),
          "Requests of the API need the header with this value.");
  py::class_<HeaderForwarding, std::shared_ptr<HeaderForwarding>>(
      module, "HeaderForwarding", "Fields of requests' heads that are parameters.")
      .def(py::init(&MakeForwarding), py::arg("pattern"));
  py::class_<http::Options>(module, "HttpOptions", "How HTTP is served; times in seconds.")
      .def(py::init(&MakeHttpOptions), py::kw_only(), py::arg("address"), py::arg("port"),
           py::arg("threads"), py::arg("server_name"), py::arg("server_version"), py::arg("tls"),
           py::arg("cors"), py::arg("access"), py::arg("forwarding"), py::arg("max_body_bytes"),
           py::arg("max_header_bytes"), py::arg("max_connections"), py::arg("max_bytes_in_flight"),
           py::arg("header_timeout"), py::arg("body_timeout"), py::arg("idle_timeout"),
           py::arg("allow_shared_memory"), py::arg("log_access"));
}

}  // namespace despina::bindings
