#include "grpc/reads.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "protocol/health_proto.h"
#include "protocol/metadata_proto.h"
#include "protocol/model_target.h"
#include "protocol/reads_proto.h"
#include "protocol/shared_memory.h"
#include "protocol/shared_memory_proto.h"
#include "protocol/statistics.h"
#include "protocol/stats_proto.h"

namespace despina::grpc {
namespace {

// A serialized response.
using Answer = Result<std::string>;

std::string RequestName(const Method& method) { return Concat(method.name(), "Request"); }

Answer AnswerModel(const Method& method, std::string_view message, const Snapshot& snapshot) {
  const Result<protocol::ModelQuery> query =
      protocol::ParseModelQuery(RequestName(method), message);
  if (!query.ok()) return query.status();
  const std::shared_ptr<Model> model = snapshot.Find(query->model, query->version);
  if (method.rpc == Rpc::kModelReady) {
    return protocol::YesOrNoProto(model != nullptr && model->ready());
  }
  if (model == nullptr) return snapshot.Missing(query->model, query->version);
  if (method.rpc == Rpc::kModelConfig) return protocol::ModelConfigProto(model->definition());
  return protocol::ModelMetadataProto(
      model->definition(), protocol::ListedVersions(snapshot, query->model, query->version));
}

Answer AnswerStatistics(const Method& method, std::string_view message, const Snapshot& snapshot) {
  const Result<protocol::ModelQuery> query =
      protocol::ParseModelQuery(RequestName(method), message);
  if (!query.ok()) return query.status();
  if (query->model.empty()) return protocol::StatisticsProto(protocol::AllStatistics(snapshot));
  const auto counts = protocol::ModelStatistics(snapshot, query->model, query->version);
  if (!counts.ok()) return counts.status();
  return protocol::StatisticsProto(*counts);
}

Answer AnswerIndex(std::string_view message, const Snapshot& snapshot) {
  const Result<bool> only_ready = protocol::ParseIndexQuery(message);
  if (!only_ready.ok()) return only_ready.status();
  return protocol::RepositoryIndexProto(snapshot.index, *only_ready);
}

Answer AnswerSharedMemory(const Method& method, std::string_view message, const Service& service) {
  const Result<std::string_view> name = protocol::ParseRegionName(RequestName(method), message);
  if (!name.ok()) return name.status();
  const auto regions = protocol::SystemRegions(service.regions, *name);
  if (!regions.ok()) return regions.status();
  return protocol::SystemSharedMemoryStatusProto(*regions);
}

Answer RegisterSharedMemory(std::string_view message, const Service& service) {
  if (!service.allow_shared_memory) {
    return Status(Code::kUnimplemented, std::string(protocol::kSharedMemoryDisabled));
  }
  Result<SharedRegion::Place> place = protocol::ParseSystemRegion(message);
  if (!place.ok()) return place.status();
  const Status status = service.regions.Register(*std::move(place));
  if (!status.ok()) return status;
  return std::string();
}

Answer AnswerCudaMemory(const Method& method, std::string_view message) {
  const Result<std::string_view> name = protocol::ParseRegionName(RequestName(method), message);
  if (!name.ok()) return name.status();
  if (method.rpc == Rpc::kCudaMemoryUnregister) return std::string();
  const Status status = method.rpc == Rpc::kCudaMemoryRegister ? protocol::RegisterCudaRegion(*name)
                                                               : protocol::CudaRegions(*name);
  if (!status.ok()) return status;
  return std::string();
}

Answer AnswerRead(const Method& method, std::string_view message, Service& service) {
  const Snapshot& snapshot = service.submitter.snapshot();
  switch (method.rpc) {
    case Rpc::kServerLive:
      return protocol::YesOrNoProto(snapshot.live);
    case Rpc::kServerReady:
      return protocol::YesOrNoProto(snapshot.ready && !snapshot.exiting);
    case Rpc::kServerMetadata:
      return protocol::ServerMetadataProto(service.server_name, service.server_version);
    case Rpc::kModelStatistics:
      return AnswerStatistics(method, message, snapshot);
    case Rpc::kRepositoryIndex:
      return AnswerIndex(message, snapshot);
    case Rpc::kSharedMemoryStatus:
      return AnswerSharedMemory(method, message, service);
    case Rpc::kSharedMemoryRegister:
      return RegisterSharedMemory(message, service);
    case Rpc::kCudaMemoryStatus:
    case Rpc::kCudaMemoryRegister:
    case Rpc::kCudaMemoryUnregister:
      return AnswerCudaMemory(method, message);
    default:
      return AnswerModel(method, message, snapshot);
  }
}

class ReadHandler final : public CallHandler {
 public:
  ReadHandler(Service& service, const Method& method) : service_(service), method_(method) {}

  void OnMessage(Call& call, Message message) override {
    const Answer answer = AnswerRead(method_, TextOf(message.bytes), service_);
    if (!answer.ok()) return call.Finish(answer.status());
    call.Respond(MessageOf(*answer));
  }
  void OnGone() override {}

 private:
  Service& service_;
  const Method& method_;
};

}  // namespace

std::unique_ptr<CallHandler> MakeReadHandler(Service& service, const Method& method) {
  return std::make_unique<ReadHandler>(service, method);
}

}  // namespace despina::grpc
