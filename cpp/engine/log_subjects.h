// What lines of the log are about, where backends run.
#pragma once

#include "base/log.h"
#include "engine/batch.h"
#include "engine/definition.h"
#include "engine/request.h"

namespace despina {

// Model, version and instance, and of a batch that it runs the requests that are not answered yet.
// Lives on the instance's thread, as long as that does.
class InstanceSubject final : public log::Subject {
 public:
  InstanceSubject(const ModelDefinition& model, const InstanceDefinition& instance)
      : model_(model), instance_(instance) {}

  void AddFields(log::Fields& fields) const override;
  const InstanceDefinition& instance() const { return instance_; }

  // Null between batches.
  const Batch* batch = nullptr;

 private:
  const ModelDefinition& model_;
  const InstanceDefinition& instance_;
};

// Model, version and request.
class RequestSubject final : public log::Subject {
 public:
  RequestSubject(const ModelDefinition& model, const Request& request)
      : model_(model), request_(request) {}

  void AddFields(log::Fields& fields) const override;

 private:
  const ModelDefinition& model_;
  const Request& request_;
};

}  // namespace despina
