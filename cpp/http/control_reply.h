// Answers of the control plane, on their way back to who asked over HTTP.
#pragma once

#include <memory>

#include "frontend/control.h"
#include "http/session.h"
#include "net/mailbox.h"

namespace despina::http {

// Answers the request that the session works on: with what is JSON or nothing, or with the error.
// To be made on the loop's thread.
frontend::ControlCall::Reply ReplyTo(std::shared_ptr<Session> session,
                                     std::shared_ptr<net::Mailbox> mailbox);

}  // namespace despina::http
