#include "engine/request.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "engine/model.h"
#include "engine/submit.h"

namespace despina {
namespace {

// Only its gate is used.
class NoModel final : public Model {
 public:
  using Model::Model;
  void Enqueue(RequestChain, Turn&) override {}
  void Cancel(Request&) override {}
  void Stop() override {}
};

std::unique_ptr<Request> Named(const char* id) {
  auto request = std::make_unique<Request>(ModelRef());
  request->id = id;
  return request;
}

std::string Ids(const RequestChain& chain) {
  std::string out;
  for (const Request* each = chain.front(); each != nullptr; each = RequestChain::Next(*each)) {
    out += each->id;
  }
  return out;
}

TEST(RequestChain, KeepsTheOrderAndOwnsWhatItHolds) {
  RequestChain chain;
  EXPECT_TRUE(chain.empty());
  chain.Append(Named("a"));
  chain.Append(Named("b"));
  EXPECT_EQ(chain.size(), 2u);
  EXPECT_EQ(chain.TakeFirst()->id, "a");
  EXPECT_EQ(Ids(chain), "b");
}

TEST(RequestChain, TakesFromAnywhere) {
  RequestChain chain;
  for (const char* id : {"a", "b", "c", "d"}) chain.Append(Named(id));
  Request* b = chain.front()->state.next;
  EXPECT_EQ(chain.Take(*b)->id, "b");
  EXPECT_EQ(Ids(chain), "acd");
  EXPECT_EQ(chain.Take(*chain.front())->id, "a");
  EXPECT_EQ(chain.Take(*chain.front()->state.next)->id, "d");
  chain.Append(Named("e"));
  EXPECT_EQ(Ids(chain), "ce");
  EXPECT_EQ(chain.size(), 2u);
}

TEST(RequestChain, AppendsAnotherChain) {
  RequestChain chain;
  RequestChain tail;
  chain.Append(std::move(tail));
  EXPECT_TRUE(chain.empty());
  RequestChain first;
  first.Append(Named("a"));
  chain.Append(std::move(first));
  RequestChain second;
  second.Append(Named("b"));
  second.Append(Named("c"));
  chain.Append(std::move(second));
  EXPECT_EQ(Ids(chain), "abc");
  EXPECT_EQ(chain.size(), 3u);
  RequestChain moved = std::move(chain);
  EXPECT_EQ(Ids(moved), "abc");
  moved = RequestChain();
  EXPECT_TRUE(moved.empty());
}

TEST(Request, IsCancelledWithItsParent) {
  NoModel model({}, Clock::System());
  Request ensemble(model.Enter());
  Request step(model.Enter());
  step.state.parent = &ensemble;
  EXPECT_FALSE(step.cancelled());
  ensemble.Cancel();
  EXPECT_TRUE(ensemble.cancelled());
  EXPECT_TRUE(step.cancelled());
}

TEST(ModelRef, HoldsTheGateUntilItIsGone) {
  NoModel model({}, Clock::System());
  {
    ModelRef first = model.Enter();
    ModelRef second = model.Enter();
    EXPECT_EQ(model.gate().inside(), 2u);
    first = std::move(second);
    EXPECT_EQ(model.gate().inside(), 1u);
    EXPECT_TRUE(first);
  }
  EXPECT_EQ(model.gate().inside(), 0u);
  model.gate().Close();
  EXPECT_FALSE(model.Enter());
}

}  // namespace
}  // namespace despina
