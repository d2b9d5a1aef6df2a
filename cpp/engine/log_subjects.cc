#include "engine/log_subjects.h"

#include <string>

namespace despina {
namespace {

// Of one batch that are named; a line is read by people.
constexpr size_t kMaxIds = 32;

void AddModel(const ModelDefinition& model, log::Fields& fields) {
  fields.emplace_back("model", model.name);
  fields.emplace_back("version", std::to_string(model.version));
}

}  // namespace

void InstanceSubject::AddFields(log::Fields& fields) const {
  AddModel(model_, fields);
  fields.emplace_back("instance", instance_.name);
  if (batch == nullptr) return;
  std::string ids;
  size_t count = 0;
  for (size_t i = 0; i < batch->size() && count < kMaxIds; ++i) {
    // Those that are answered may have been given back already.
    if (batch->answered(i) || batch->request(i).id.empty()) continue;
    if (count++ > 0) ids += ',';
    ids += batch->request(i).id;
  }
  if (count > 0) fields.emplace_back("request_id", ids);
}

void RequestSubject::AddFields(log::Fields& fields) const {
  AddModel(model_, fields);
  if (!request_.id.empty()) fields.emplace_back("request_id", request_.id);
}

}  // namespace despina
