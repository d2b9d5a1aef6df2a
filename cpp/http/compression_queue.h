// Answers on their way to be compressed.
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "http/compression.h"
#include "http/message.h"
#include "http/session.h"
#include "memory/allocator.h"
#include "net/loop.h"

namespace despina::http {

// Of one loop. What is large is compressed in parts, one in each turn of the loop, so that other
// connections wait for a part at most. The loop's thread only.
class CompressionQueue {
 public:
  CompressionQueue(net::Loop& loop, Allocator& allocator)
      : allocator_(allocator), end_of_turn_(loop, [this] { Continue(); }) {}

  // Responds with the answer, its body in the coding, which is not identity: now where that is no
  // more than one part's work, in a later turn otherwise.
  void Respond(Session& session, Answer answer, Coding coding);

 private:
  struct Job {
    Job(std::shared_ptr<Session> the_session, Answer answer, Coding coding, Allocator& allocator)
        : session(std::move(the_session)), compressor(std::move(answer), coding, allocator) {}

    const std::shared_ptr<Session> session;
    Compressor compressor;
  };

  void Continue();

  Allocator& allocator_;
  std::deque<std::unique_ptr<Job>> jobs_;
  net::EndOfTurn end_of_turn_;
};

}  // namespace despina::http
