// What heads and trailers of calls say, as texts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "frontend/compressor.h"

namespace despina::grpc {

// What grpc-timeout says: up to eight digits and a unit. Nothing where it is malformed.
std::optional<Duration> ParseTimeout(std::string_view value);

// Whether a content-type is one of gRPC with protocol buffers.
bool IsGrpc(std::string_view content_type);

// What clients may compress their messages with; as grpc-accept-encoding has it.
inline constexpr std::string_view kTakenCodings = "identity,deflate,gzip";

// What a grpc-encoding says; nothing for a coding that is not supported.
std::optional<frontend::Coding> CodingNamed(std::string_view name);

// The one of the codings listed in a grpc-accept-encoding that answers are compressed with: gzip
// rather than deflate, identity where neither is there.
frontend::Coding AnswersCoding(std::string_view accept_encoding);

// As grpc-message has it: what is not printable ASCII, and '%', as "%E2%82%AC". What is longer than
// clients take of metadata by default is cut off.
std::string PercentEncoded(std::string_view message);

}  // namespace despina::grpc
