// Reads the `parameters` of a model's configuration, and refuses what is wrong: each error names
// the model and the parameter.
#pragma once

#include <array>
#include <cstdint>
#include <despina/backend.hpp>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vision {

// All functions throw despina::Error (INVALID_ARGUMENT).
class Parameters {
 public:
  static constexpr int64_t kUnbounded = std::numeric_limits<int64_t>::max();

  // `names` are those that the backend knows; others are refused.
  Parameters(const despina::ModelSpec& spec, const std::vector<std::string>& names);

  // To throw: what is wrong with a parameter.
  despina::Error Refusal(std::string_view name, const std::string& problem) const;

  // Whether the configuration sets it.
  bool Given(std::string_view name) const { return spec_.parameter(name).has_value(); }
  // A place among a few words.
  size_t Choice(std::string_view name, const std::vector<std::string>& words,
                size_t otherwise) const;
  // `true` or `false`.
  bool Boolean(std::string_view name, bool otherwise) const;
  // A whole number between bounds, both included. Without a default it is required.
  int64_t Integer(std::string_view name, std::optional<int64_t> otherwise, int64_t least = 1,
                  int64_t most = kUnbounded) const;
  // A finite decimal number, or a quotient of two as in `1/255`.
  double Number(std::string_view name, double otherwise) const;
  double PositiveNumber(std::string_view name, double otherwise) const;
  // `count` of them, separated by commas; a single one stands for all.
  std::vector<double> Numbers(std::string_view name, double otherwise, size_t count) const;
  std::vector<double> PositiveNumbers(std::string_view name, double otherwise, size_t count) const;

 private:
  double Read(std::string_view name, std::string_view text, bool positive) const;
  std::vector<double> ReadAll(std::string_view name, double otherwise, size_t count,
                              bool positive) const;

  const despina::ModelSpec& spec_;
};

}  // namespace vision
