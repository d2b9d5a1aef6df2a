#include "protocol/classification.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstring>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#include "base/text.h"
#include "protocol/data_type_dispatch.h"

namespace despina::protocol {
namespace {

// The largest number with %f has 309 digits before the point.
constexpr size_t kMaxScoreSize = 320;
constexpr int kDecimals = 6;

template <class Score>
void AppendScore(std::string& out, Score score) {
  char text[kMaxScoreSize];
  char* const limit = text + sizeof text;
  if constexpr (std::is_floating_point_v<Score>) {
    out.append(text, std::to_chars(text, limit, score, std::chars_format::fixed, kDecimals).ptr);
  } else {
    out.append(text, std::to_chars(text, limit, score).ptr);
  }
}

// Total, unlike `>`: a NaN stands behind all numbers, and equal scores keep their order.
template <class Score>
bool Before(const Score* scores, uint32_t a, uint32_t b) {
  if constexpr (std::is_floating_point_v<Score>) {
    const bool a_nan = std::isnan(scores[a]);
    const bool b_nan = std::isnan(scores[b]);
    if (a_nan || b_nan) return a_nan == b_nan ? a < b : b_nan;
  }
  return scores[a] == scores[b] ? a < b : scores[a] > scores[b];
}

void AppendElement(std::string& out, std::string_view element) {
  const auto length = static_cast<uint32_t>(element.size());
  out.append(reinterpret_cast<const char*>(&length), sizeof length);
  out.append(element);
}

// The best of each row, as the elements of a BYTES tensor.
template <class Score>
std::string BestOfRows(const TensorDefinition& definition, std::span<const std::byte> data,
                       uint64_t rows, uint64_t count) {
  const uint64_t classes = rows == 0 ? 0 : data.size() / sizeof(Score) / rows;
  // The data need not be aligned for its type.
  std::vector<Score> scores(classes);
  std::vector<uint32_t> order(classes);
  std::string out;
  std::string element;
  for (uint64_t row = 0; row < rows && classes > 0; ++row) {
    std::memcpy(scores.data(), data.data() + row * classes * sizeof(Score),
                classes * sizeof(Score));
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(count), order.end(),
                      [&](uint32_t a, uint32_t b) { return Before(scores.data(), a, b); });
    for (uint64_t i = 0; i < count; ++i) {
      element.clear();
      AppendScore(element, scores[order[i]]);
      element += Concat(':', order[i]);
      if (order[i] < definition.labels.size()) element += Concat(':', definition.labels[order[i]]);
      AppendElement(out, element);
    }
  }
  return out;
}

// INVALID_ARGUMENT where a client may not have classes, INTERNAL where the backend made a mistake.
Status Check(const TensorDefinition& definition, const Tensor& tensor) {
  const std::string what = Concat("class result not available for output '", definition.name, "'");
  if (!WithNumberType(tensor.datatype, []<class Score>() { return true; })) {
    return InvalidArgument(
        Concat(what, " due to unsupported type '", DataTypeName(tensor.datatype), "'"));
  }
  if (tensor.data.size() != ByteSize(tensor.datatype, tensor.shape)) {
    return Internal(Concat(what, ": its data of ", tensor.data.size(),
                           " bytes does not match its shape ", ToText(tensor.shape)));
  }
  const uint64_t elements = tensor.data.size() / ElementSize(tensor.datatype);
  if (elements <= kMaxClassificationElements) return Ok();
  return InvalidArgument(
      Concat(what, ": it has ", elements, " elements, more than ", kMaxClassificationElements));
}

}  // namespace

Result<Tensor> Classify(const TensorDefinition& definition, const Tensor& tensor, bool batched,
                        uint32_t count, Allocator& allocator) {
  if (Status status = Check(definition, tensor); !status.ok()) return status;
  const uint64_t elements = tensor.data.size() / ElementSize(tensor.datatype);
  const bool by_row = batched && tensor.shape.rank() > 0;
  const uint64_t rows = by_row ? static_cast<uint64_t>(tensor.shape[0]) : 1;
  const uint64_t best = rows == 0 ? 0 : std::min<uint64_t>(count, elements / rows);
  const auto classify = [&]<class Score>() {
    return BestOfRows<Score>(definition, tensor.data.bytes(), rows, best);
  };
  const std::string text = *WithNumberType(tensor.datatype, classify);
  Result<Buffer> buffer = allocator.Allocate(text.size());
  if (!buffer.ok()) return buffer.status();
  if (!text.empty()) std::memcpy(buffer->writable().data(), text.data(), text.size());
  Tensor classes{.datatype = DataType::kBytes, .shape = {}, .data = Slice(*std::move(buffer))};
  if (by_row) classes.shape.Append(static_cast<int64_t>(rows));
  classes.shape.Append(static_cast<int64_t>(best));
  return classes;
}

}  // namespace despina::protocol
