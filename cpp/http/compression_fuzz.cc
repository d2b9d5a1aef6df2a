// Bodies as they come compressed, and answers on their way there and back.
#include <fuzzer/FuzzedDataProvider.h>
#include <zlib.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fuzzing.h"
#include "frontend/compressor.h"
#include "frontend/decompressor.h"
#include "http/compression.h"
#include "memory/pool.h"

namespace despina::http {
namespace {

using frontend::Body;
using frontend::Compressor;
using frontend::Decompressor;
using frontend::Refusal;
using Bytes = std::vector<std::byte>;

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What zlib makes of a stream, up to so many bytes. `whole`: it is one stream and nothing else.
std::string Reference(const Bytes& bytes, size_t most, bool& whole) {
  z_stream stream{};
  Require(inflateInit2(&stream, 15 + 32) == Z_OK, "there is memory");
  std::string out(most + 1, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = inflate(&stream, Z_FINISH);
  whole = result == Z_STREAM_END && stream.avail_in == 0;
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

void CheckDecompressor(const Bytes& bytes, size_t step, uint64_t limit) {
  bool whole = false;
  const std::string reference = Reference(bytes, limit, whole);
  BufferPool pool;
  Budget budget(uint64_t{1} << 30);
  {
    Body body(pool, budget);
    Require(body.Allocate(16, 0).ok(), "there is memory");
    Decompressor decompressor(limit);
    std::optional<Refusal> refusal;
    for (size_t at = 0; at < bytes.size() && !refusal; at += step) {
      const size_t part = std::min(step, bytes.size() - at);
      refusal = decompressor.Append(std::span(bytes).subspan(at, part), body);
      Require(body.size() <= limit, "no more comes out than the limit");
    }
    if (!refusal) refusal = decompressor.Finish();
    Require(refusal.has_value() == (!whole || reference.size() > limit),
            "what is one stream within the limit is taken");
    if (refusal) {
      Require(refusal->reason != Refusal::Reason::kNoMemory, "it is the client's fault");
      Require(!refusal->message.empty(), "a refusal has a text");
    } else {
      Require(Text(body.Take().bytes()) == reference, "what comes out is what was compressed");
    }
  }
  Require(budget.used() == 0 && pool.statistics().bytes_in_use == 0, "nothing is left");
}

void CheckCompressor(const Bytes& bytes, size_t step, int level, Coding coding) {
  BufferPool pool;
  std::vector<std::span<const std::byte>> pieces;
  for (size_t at = 0; at < bytes.size(); at += step) {
    pieces.push_back(std::span(bytes).subspan(at, std::min(step, bytes.size() - at)));
  }
  Compressor compressor(std::move(pieces), coding, level, pool);
  size_t most = 0;
  do {
    Require(most == 0, "all of a part is used");
    most = step;
  } while (!compressor.Continue(most));
  Bytes out;
  const std::optional<std::vector<Slice>> made = compressor.Take();
  Require(made.has_value(), "there is memory");
  for (const Slice& slice : *made) {
    out.insert(out.end(), slice.bytes().begin(), slice.bytes().end());
  }
  bool whole = false;
  Require(Reference(out, bytes.size(), whole) == Text(bytes) && whole, "it comes back");
}

}  // namespace
}  // namespace despina::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace despina::http;
  FuzzedDataProvider in(data, size);
  const auto step = in.ConsumeIntegralInRange<size_t>(1, 5000);
  const auto limit = in.ConsumeIntegralInRange<uint64_t>(0, 200'000);
  const auto level = in.ConsumeIntegralInRange<int>(1, 9);
  const Coding coding = in.ConsumeBool() ? Coding::kGzip : Coding::kDeflate;
  const auto bytes = in.ConsumeRemainingBytes<std::byte>();

  CheckDecompressor(bytes, step, limit);
  CheckCompressor(bytes, step, level, coding);
  const std::string text = Text(bytes);
  PreferredCoding(text);
  ParseContentEncoding(text);
  return 0;
}
