#include "host/host_api.h"

#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "host/calling.h"
#include "host/metric_api.h"
#include "host/outputs.h"
#include "host/requests.h"
#include "host/translate.h"

namespace despina::host {
namespace {

Status Ended() {
  return {Code::kFailedPrecondition,
          "the batch has ended: neither it nor its requests may be kept after execute()"};
}
Status Answered() { return {Code::kFailedPrecondition, "the request has been answered before"}; }
Status LeftOut(const Requests& owner, uint32_t input) {
  return NotFound(Concat(owner.label(), ": input ", input, " was left out of the request"));
}
Status NoOutput(const Requests& owner, uint32_t output) {
  return Internal(Concat(owner.label(), ": there is no output ", output));
}
Status NotOnCpu(despina_device device) {
  return {Code::kUnimplemented, Concat("there is no memory on devices of type ", device.type,
                                       " in this server: ask for DESPINA_DEVICE_CPU")};
}

void Log(despina_log_level level, despina_str text) {
  if (level < DESPINA_LOG_ERROR) level = DESPINA_LOG_ERROR;
  if (level > DESPINA_LOG_VERBOSE) level = DESPINA_LOG_VERBOSE;
  const auto known = static_cast<log::Level>(level);
  if (!log::Enabled(known)) return;
  log::Write(known, Concat(Caller(), ": ", View(text)), "backend", 0);
}

const void* Query(despina_str) { return nullptr; }

// -- batches

size_t BatchSize(const despina_batch* batch) { return batch->handles.size(); }

uint64_t BatchRows(const despina_batch* batch) {
  return batch->batch != nullptr ? batch->batch->rows() : 0;
}

despina_request* BatchRequest(despina_batch* batch, size_t i) {
  return i < batch->handles.size() ? batch->handles[i] : nullptr;
}

despina_code BatchGather(despina_batch* batch, uint32_t input, despina_device device, void*,
                         despina_tensor* out, despina_error* error) {
  return Guarded(error, [&]() -> Status {
    if (batch->batch == nullptr) return Ended();
    if (device.type != DESPINA_DEVICE_CPU) return NotOnCpu(device);
    const auto place = batch->requests->InputAt(input);
    if (!place) return LeftOut(*batch->requests, input);
    const Result<const Tensor*> tensor = batch->batch->Gather(*place);
    if (!tensor.ok()) return tensor.status();
    if (*tensor == nullptr) return LeftOut(*batch->requests, input);
    const Result<despina_tensor> view = batch->elements.View(input, **tensor);
    if (!view.ok()) return view.status();
    *out = *view;
    return Ok();
  });
}

despina_code BatchAllocate(despina_batch* batch, uint32_t output, despina_datatype datatype,
                           const int64_t* shape, int32_t ndim, despina_tensor* out,
                           despina_error* error) {
  return Guarded(error, [&]() -> Status {
    if (batch->batch == nullptr) return Ended();
    Result<Tensor> tensor = AllocateOutput(datatype, shape, ndim, batch->batch->allocator());
    if (!tensor.ok()) return tensor.status();
    const auto place = batch->requests->OutputAt(output);
    if (!place) return NoOutput(*batch->requests, output);
    despina_tensor allocated = ToAbi(*tensor);
    allocated.shape = shape;
    batch->requests->KeepUnwanted(*place, tensor->data);
    Status status = batch->batch->Scatter(*place, *std::move(tensor));
    if (!status.ok()) return status;
    *out = allocated;
    return Ok();
  });
}

despina_code BatchGive(despina_batch* batch, uint32_t output, void*, despina_tensor_owned* tensor,
                       despina_error* error) {
  return Guarded(error, [&]() -> Status {
    if (batch->batch == nullptr) return Ended();
    Result<GivenTensor> given = GivenTensor::Make(*tensor, batch->batch->allocator());
    if (!given.ok()) return given.status();
    const auto place = batch->requests->OutputAt(output);
    if (!place) return NoOutput(*batch->requests, output);
    if (Status status = batch->batch->Scatter(*place, given->tensor()); !status.ok()) {
      return status;
    }
    given->Accept();
    return Ok();
  });
}

Status SendTo(despina_request& request) {
  const Requests& owner = request.owner;
  if (!owner.declares(DESPINA_STREAMING)) {
    return {Code::kUnimplemented,
            Concat(owner.label(),
                   ": its backend does not declare DESPINA_STREAMING, and may not "
                   "send parts")};
  }
  Status status = Answered();
  if (Batch* batch = owner.BatchOf(request)) {
    status = batch->Send(request.index);
  } else if (request.detached) {
    status = request.detached->Send();
  }
  if (status.ok()) request.unwanted.clear();
  return status;
}

despina_code BatchSend(despina_batch* batch, despina_error* error) {
  return Guarded(error, [&]() -> Status {
    if (batch->batch == nullptr) return Ended();
    for (despina_request* request : batch->handles) {
      if (batch->requests->BatchOf(*request) == nullptr) continue;
      if (Status status = SendTo(*request); !status.ok()) return status;
    }
    return Ok();
  });
}

void BatchComplete(despina_batch* batch, despina_code code, despina_str message) {
  if (batch->batch == nullptr) {
    return Complain("batch_complete", Ended().message(), batch->requests->label());
  }
  const Status status = StatusOf(code, message);
  for (despina_request* request : batch->handles) {
    batch->requests->Answer(*request, status);
  }
}

// -- requests

// What a request carries; null when it is not there any more.
const Request* Alive(const despina_request* request) {
  return request->request.load(std::memory_order_acquire);
}

despina_str RequestId(const despina_request* request) {
  const Request* alive = Alive(request);
  return alive != nullptr ? ToAbi(alive->id) : despina_str{};
}

uint64_t RequestRows(const despina_request* request) {
  const Request* alive = Alive(request);
  return alive != nullptr ? alive->state.rows : 0;
}

size_t RequestParameterCount(const despina_request* request) {
  const Request* alive = Alive(request);
  return alive != nullptr ? alive->parameters.size() : 0;
}

despina_parameter RequestParameter(const despina_request* request, size_t i) {
  const Request* alive = Alive(request);
  if (alive == nullptr || i >= alive->parameters.size()) return {};
  return ToAbi(alive->parameters[i]);
}

int32_t RequestCancelled(const despina_request* request) {
  const Request* alive = Alive(request);
  return alive != nullptr && alive->cancelled() ? 1 : 0;
}

int32_t RequestWants(const despina_request* request, uint32_t output) {
  const Request* alive = Alive(request);
  if (alive == nullptr) return 0;
  const auto place = request->owner.OutputAt(output);
  return place && alive->Wants(*place) ? 1 : 0;
}

despina_code RequestInput(despina_request* request, uint32_t input, despina_tensor* out,
                          despina_error* error) {
  return Guarded(error, [&]() -> Status {
    const Request* alive = Alive(request);
    if (alive == nullptr) return Answered();
    const auto place = request->owner.InputAt(input);
    if (!place || !alive->inputs[*place]) return LeftOut(request->owner, input);
    const Result<despina_tensor> view = request->elements.View(input, *alive->inputs[*place]);
    if (!view.ok()) return view.status();
    *out = *view;
    return Ok();
  });
}

Status AddOutput(despina_request& request, uint32_t output, Tensor tensor) {
  const auto place = request.owner.OutputAt(output);
  if (!place) return NoOutput(request.owner, output);
  if (Batch* batch = request.owner.BatchOf(request)) {
    return batch->AddOutput(request.index, *place, std::move(tensor));
  }
  return request.detached ? request.detached->AddOutput(*place, std::move(tensor)) : Answered();
}

despina_code RequestAllocate(despina_request* request, uint32_t output, despina_datatype datatype,
                             const int64_t* shape, int32_t ndim, despina_tensor* out,
                             despina_error* error) {
  return Guarded(error, [&]() -> Status {
    const Result<Tensor> tensor = AllocateOutput(datatype, shape, ndim, request->owner.allocator());
    if (!tensor.ok()) return tensor.status();
    despina_tensor view = ToAbi(*tensor);
    if (Status status = AddOutput(*request, output, *tensor); !status.ok()) return status;
    if (RequestWants(request, output) == 0) request->unwanted.push_back(tensor->data);
    view.shape = shape;
    *out = view;
    return Ok();
  });
}

despina_code RequestGive(despina_request* request, uint32_t output, void*,
                         despina_tensor_owned* tensor, despina_error* error) {
  return Guarded(error, [&]() -> Status {
    Result<GivenTensor> given = GivenTensor::Make(*tensor, request->owner.allocator());
    if (!given.ok()) return given.status();
    if (Status status = AddOutput(*request, output, given->tensor()); !status.ok()) return status;
    given->Accept();
    return Ok();
  });
}

despina_code RequestSetParameter(despina_request* request, const despina_parameter* parameter,
                                 despina_error* error) {
  return Guarded(error, [&]() -> Status {
    Result<Parameter> value = FromAbi(*parameter);
    if (!value.ok()) return value.status();
    if (Batch* batch = request->owner.BatchOf(*request)) {
      batch->AddParameter(request->index, *std::move(value));
    } else if (request->detached) {
      request->detached->AddParameter(*std::move(value));
    } else {
      return Answered();
    }
    return Ok();
  });
}

despina_code RequestSend(despina_request* request, despina_error* error) {
  return Guarded(error, [&] { return SendTo(*request); });
}

despina_code RequestDetach(despina_request* request, despina_error* error) {
  return Guarded(error, [&] { return request->owner.Detach(*request); });
}

void RequestComplete(despina_request* request, despina_code code, despina_str message) {
  if (request->owner.Complete(*request, StatusOf(code, message))) return;
  Complain("request_complete", Answered().message(), request->owner.label());
}

// -- statistics

std::optional<ComputeMark> MarkOf(int32_t mark) {
  if (mark == DESPINA_COMPUTE_STARTS) return ComputeMark::kStarts;
  if (mark == DESPINA_COMPUTE_ENDS) return ComputeMark::kEnds;
  return std::nullopt;
}

void BatchMark(despina_batch* batch, int32_t mark) {
  const std::string& who = batch->requests->label();
  const auto known = MarkOf(mark);
  if (!known) return Complain("batch_mark", Concat("there is no mark ", mark), who);
  if (batch->batch == nullptr) return Complain("batch_mark", Ended().message(), who);
  batch->batch->MarkUnanswered(*known);
}

void RequestMark(despina_request* request, int32_t mark) {
  const std::string& who = request->owner.label();
  const auto known = MarkOf(mark);
  if (!known) return Complain("request_mark", Concat("there is no mark ", mark), who);
  if (Batch* batch = request->owner.BatchOf(*request)) return batch->Mark(request->index, *known);
  if (!request->detached) return Complain("request_mark", Answered().message(), who);
  request->detached->Mark(*known);
}

despina_host_api MakeTable() {
  despina_host_api table{};
  table.struct_size = sizeof table;
  table.abi_major = DESPINA_ABI_MAJOR;
  table.abi_minor = DESPINA_ABI_MINOR;
  table.abi_hash = DESPINA_ABI_HASH;
  table.log = Log;
  table.query = Query;
  table.batch_size = BatchSize;
  table.batch_rows = BatchRows;
  table.batch_request = BatchRequest;
  table.batch_gather = BatchGather;
  table.batch_allocate = BatchAllocate;
  table.batch_give = BatchGive;
  table.batch_send = BatchSend;
  table.batch_complete = BatchComplete;
  table.request_id = RequestId;
  table.request_rows = RequestRows;
  table.request_parameter_count = RequestParameterCount;
  table.request_parameter = RequestParameter;
  table.request_cancelled = RequestCancelled;
  table.request_wants = RequestWants;
  table.request_input = RequestInput;
  table.request_allocate = RequestAllocate;
  table.request_give = RequestGive;
  table.request_set_parameter = RequestSetParameter;
  table.request_send = RequestSend;
  table.request_detach = RequestDetach;
  table.request_complete = RequestComplete;
  table.batch_mark = BatchMark;
  table.request_mark = RequestMark;
  OfferMetrics(table);
  return table;
}

}  // namespace

const despina_host_api& HostApi() {
  static const despina_host_api table = MakeTable();
  return table;
}

}  // namespace despina::host
