#include "bindings/grpc_binding.h"

#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/seconds.h"
#include "grpc/server.h"

namespace py = pybind11;

namespace despina::bindings {
namespace {

using frontend::AccessRules;
using frontend::HeaderForwarding;
using net::TlsContext;

// 0: without end.
Duration Limit(double seconds) { return seconds > 0 ? Seconds(seconds) : Duration::max(); }

grpc::KeepaliveOptions MakeKeepalive(double time, double timeout, bool permit_without_calls,
                                     unsigned max_pings_without_data, double min_ping_interval,
                                     unsigned max_ping_strikes) {
  return {.time = Seconds(time),
          .timeout = Seconds(timeout),
          .permit_without_calls = permit_without_calls,
          .max_pings_without_data = max_pings_without_data,
          .min_ping_interval = Seconds(min_ping_interval),
          .max_ping_strikes = max_ping_strikes};
}

grpc::Options MakeGrpcOptions(std::string address, uint16_t port, unsigned threads,
                              std::string server_name, std::string server_version,
                              std::shared_ptr<TlsContext> tls, std::shared_ptr<AccessRules> access,
                              std::shared_ptr<HeaderForwarding> forwarding,
                              size_t max_message_bytes, size_t max_control_bytes,
                              uint64_t max_bytes_in_flight, size_t max_connections,
                              uint32_t max_concurrent_streams, double message_timeout,
                              const grpc::KeepaliveOptions& keepalive, double max_connection_age,
                              double max_connection_age_grace, std::vector<std::string> descriptors,
                              int compression_level, bool allow_shared_memory, bool log_access) {
  grpc::Options options;
  options.address = std::move(address);
  options.port = port;
  options.threads = threads;
  options.server_name = std::move(server_name);
  options.server_version = std::move(server_version);
  options.tls = std::move(tls);
  options.access = std::move(access);
  options.forwarding = std::move(forwarding);
  options.limits.max_message_bytes = max_message_bytes;
  options.limits.max_control_bytes = max_control_bytes;
  options.limits.max_concurrent_streams = max_concurrent_streams;
  options.limits.message_timeout = Seconds(message_timeout);
  options.limits.keepalive = keepalive;
  options.limits.max_age = Limit(max_connection_age);
  options.limits.max_age_grace = Limit(max_connection_age_grace);
  options.max_bytes_in_flight = max_bytes_in_flight;
  options.max_connections = max_connections;
  options.descriptors = std::move(descriptors);
  options.compression_level = compression_level;
  options.allow_shared_memory = allow_shared_memory;
  options.log_access = log_access;
  return options;
}

}  // namespace

void BindGrpcOptions(py::module_& module) {
  py::class_<grpc::KeepaliveOptions>(module, "GrpcKeepalive",
                                     "Which pings are sent and taken; times in seconds.")
      .def(py::init(&MakeKeepalive), py::kw_only(), py::arg("time"), py::arg("timeout"),
           py::arg("permit_without_calls"), py::arg("max_pings_without_data"),
           py::arg("min_ping_interval"), py::arg("max_ping_strikes"));
  py::class_<grpc::Options>(module, "GrpcOptions", "How gRPC is served; times in seconds.")
      .def(py::init(&MakeGrpcOptions), py::kw_only(), py::arg("address"), py::arg("port"),
           py::arg("threads"), py::arg("server_name"), py::arg("server_version"), py::arg("tls"),
           py::arg("access"), py::arg("forwarding"), py::arg("max_message_bytes"),
           py::arg("max_control_bytes"), py::arg("max_bytes_in_flight"), py::arg("max_connections"),
           py::arg("max_concurrent_streams"), py::arg("message_timeout"), py::arg("keepalive"),
           py::arg("max_connection_age"), py::arg("max_connection_age_grace"),
           py::arg("descriptors"), py::arg("compression_level"), py::arg("allow_shared_memory"),
           py::arg("log_access"));
}

}  // namespace despina::bindings
