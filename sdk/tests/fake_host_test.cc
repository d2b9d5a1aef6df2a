// A test as an author writes it, on despina/testing/fake_host.hpp, with the backend linked in.
#include <cstdio>
#include <despina/testing/fake_host.hpp>
#include <string>
#include <vector>

#define CHECK(condition)                                           \
  do {                                                             \
    if (!(condition)) {                                            \
      std::fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
      return 1;                                                    \
    }                                                              \
  } while (false)

extern "C" despina_code despina_backend_entry(const despina_host_api*, despina_backend_api*,
                                              despina_error*);

using despina::testing::Array;
using despina::testing::FakeRequest;
using despina::testing::State;

namespace {

int Cancel(despina::testing::Instance& instance, const FakeRequest& like) {
  FakeRequest left;
  left.parameters = {{"do", "forget"}};
  left.inputs = like.inputs;
  instance.Execute({&left});
  CHECK(left.detached && !left.Wait(std::chrono::milliseconds(1)));
  instance.Cancel(left);
  CHECK(State::Get().metrics["level"] == 8);

  FakeRequest answered;
  answered.parameters = {{"do", "answer when cancelled"}};
  answered.inputs = like.inputs;
  instance.Execute({&answered});
  instance.Cancel(answered);
  CHECK(answered.Wait() && answered.code == DESPINA_OK);
  CHECK(State::Get().metrics["level"] == 8 && answered.lent.empty());
  CHECK(State::Get().errors.size() == 1);
  left.outputs.clear();
  CHECK(State::Get().given == State::Get().released);
  CHECK(State::Get().metrics["made_total"] == State::Get().metrics["released_total"]);
  return 0;
}

int Run() {
  const despina::testing::Library library(despina_backend_entry);
  despina::testing::Backend backend(library);
  despina::testing::ModelDescription description;
  description.name = "counted";
  despina::testing::Model model(backend, description);
  CHECK(model.signature.max_batch_size == 4);
  despina::testing::Instance instance(model);

  FakeRequest one;
  one.inputs[0] = Array::Of<float>({1, 1}, {1});
  FakeRequest two;
  two.rows = 2;
  two.inputs[0] = Array::Of<float>({2, 1}, {2, 3});
  instance.Execute({&one, &two});
  CHECK(one.Wait() && two.Wait());
  CHECK(one.code == DESPINA_OK && two.code == DESPINA_OK);
  CHECK(one.answer[0].values<float>() == std::vector<float>({1}));
  CHECK(two.answer[0].values<float>() == std::vector<float>({2, 3}));
  CHECK(two.answer[1].texts == std::vector<std::string>({"text", "text"}));

  FakeRequest part;
  part.parameters = {{"do", "part"}};
  part.inputs = one.inputs;
  instance.Execute({&part});
  CHECK(part.parts.size() == 1 && part.parts[0][0].values<float>()[0] == 1);

  FakeRequest starved;
  starved.inputs = one.inputs;
  starved.outputs_until_starved = 1;
  instance.Execute({&starved});
  CHECK(starved.code == DESPINA_RESOURCE_EXHAUSTED);
  CHECK(State::Get().errors.empty());

  FakeRequest wrong;
  wrong.parameters = {{"do", "wrong rows"}};
  wrong.inputs = one.inputs;
  instance.Execute({&wrong});
  CHECK(wrong.code == DESPINA_INTERNAL);
  CHECK(State::Get().errors == std::vector<std::string>({"output 'Y': wrong number of rows"}));

  return Cancel(instance, one);
}

}  // namespace

int main() { return Run(); }
