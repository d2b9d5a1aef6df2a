#include "host/outputs.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "engine/testing.h"
#include "host/translate.h"

namespace despina::host {
namespace {

using despina::testing::Memory;

void CountRelease(despina_tensor_owned* self) { ++*static_cast<int*>(self->owner); }

TEST(GivenTensorTest, TextsThatAreNotAlignedAreRefusedAndStayTheBackends) {
  const despina_str text = ToAbi("x");
  alignas(despina_str) std::array<std::byte, sizeof text + 1> memory;
  std::memcpy(memory.data() + 1, &text, sizeof text);
  const int64_t dim = 1;
  int releases = 0;
  despina_tensor_owned owned{.tensor = {.data = memory.data() + 1,
                                        .shape = &dim,
                                        .ndim = 1,
                                        .datatype = ToAbi(DataType::kBytes),
                                        .device = kCpu,
                                        .byte_size = sizeof text},
                             .owner = &releases,
                             .release = CountRelease};
  const Result<GivenTensor> given = GivenTensor::Make(owned, Memory());
  ASSERT_FALSE(given.ok());
  EXPECT_EQ(given.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(given.status().message(), "the tensor's elements do not lie where a despina_str can");
  EXPECT_EQ(releases, 0);
}

}  // namespace
}  // namespace despina::host
