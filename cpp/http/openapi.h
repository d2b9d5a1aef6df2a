// The OpenAPI description of the routes.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "http/reads.h"
#include "http/routes.h"

namespace despina::http {

// The document, as JSON: each route with its parameters, and the schemas that it names.
std::string OpenApiJson(std::span<const Route> routes, const ServerIdentity& server);

// The members of `components.schemas`, as JSON: what routes call `request` and `response`.
std::string_view OpenApiSchemas();

}  // namespace despina::http
