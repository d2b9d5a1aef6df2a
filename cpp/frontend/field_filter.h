// Which fields of requests' heads the server wants to see, besides those that it always reads.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/field.h"

namespace despina::frontend {

class FieldFilter {
 public:
  void AddAll() { all_ = true; }
  void Add(std::string name) { names_.push_back(std::move(name)); }

  bool empty() const { return !all_ && names_.empty(); }
  bool Wants(std::string_view name) const {
    return all_ || std::ranges::any_of(
                       names_, [name](const std::string& each) { return IsSameName(each, name); });
  }

 private:
  bool all_ = false;
  std::vector<std::string> names_;
};

}  // namespace despina::frontend
