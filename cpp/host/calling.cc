#include "host/calling.h"

#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace despina::host {
namespace {

thread_local std::string_view caller;

}  // namespace

Calling::Calling(std::string_view who) : before_(std::exchange(caller, who)) {}
Calling::~Calling() { caller = before_; }

std::string_view Caller() { return caller.empty() ? "backend" : caller; }

void Complain(std::string_view call, std::string_view why, std::string_view who) {
  log::Error(Concat(who, ": ", call, ": ", why));
}

}  // namespace despina::host
