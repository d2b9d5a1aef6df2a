#include "grpc/router.h"

#include <memory>
#include <string>
#include <utility>

#include "base/text.h"
#include "grpc/control_call.h"
#include "grpc/health.h"
#include "grpc/infer_call.h"
#include "grpc/metadata.h"
#include "grpc/methods.h"
#include "grpc/reads.h"
#include "grpc/reflection.h"
#include "grpc/stream_infer_call.h"

namespace despina::grpc {
namespace {

bool IsWork(Rpc rpc) {
  return rpc == Rpc::kModelInfer || rpc == Rpc::kModelStreamInfer || rpc == Rpc::kControl;
}

std::unique_ptr<CallHandler> MakeHandler(Service& service, const Head& head) {
  const Method& method = *head.method;
  switch (method.rpc) {
    case Rpc::kModelInfer:
      return std::make_unique<InferCall>(service);
    case Rpc::kModelStreamInfer:
      return std::make_unique<StreamInferCall>(service, head);
    case Rpc::kControl:
    case Rpc::kSharedMemoryUnregister:
      return MakeControlHandler(service, method);
    case Rpc::kHealthCheck:
      return std::make_unique<HealthCheck>(service);
    case Rpc::kHealthWatch:
      return std::make_unique<HealthWatch>(service);
    case Rpc::kReflection:
      return std::make_unique<ReflectionCall>(service.descriptors);
    default:
      return MakeReadHandler(service, method);
  }
}

}  // namespace

void ServiceRouter::OnCall(Call& call) {
  const Head& head = call.head();
  const Status refused = Refuse(head);
  if (!refused.ok()) return call.Finish(refused);
  call.Accept(MakeHandler(service_, head));
}

Status ServiceRouter::Refuse(const Head& head) {
  if (head.method == nullptr) {
    return {Code::kUnimplemented, Concat("there is no method '", head.unknown_path, "'")};
  }
  if (service_.access != nullptr) {
    const std::string_view lacks = service_.access->Denied(head.method->api, head.fields);
    if (!lacks.empty()) {
      return Unavailable(Concat("This protocol is restricted, expecting header '", lacks, "'"));
    }
  }
  if (!CodingNamed(head.encoding)) {
    return {Code::kUnimplemented,
            Concat("compression with '", head.encoding, "' is not supported: use gzip or deflate")};
  }
  if (IsWork(head.method->rpc) && service_.submitter.snapshot().exiting) {
    return Unavailable(std::string(kStopped));
  }
  return Ok();
}

}  // namespace despina::grpc
