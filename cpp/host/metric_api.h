// The part of the C interface with which backends make metrics.
#pragma once

#include <despina/abi.h>

#include "base/metrics.h"

namespace despina::host {

// What a model's specification lends to its backend.
inline despina_metrics* ToAbi(ModelMetrics& metrics) {
  return reinterpret_cast<despina_metrics*>(&metrics);
}

// Fills in the functions.
void OfferMetrics(despina_host_api& table);

}  // namespace despina::host
