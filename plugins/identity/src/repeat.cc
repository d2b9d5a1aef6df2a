// A decoupled backend: one request, as many answers as IN has elements, sent by a thread of its
// own after execute() has returned. It shows how answers come in parts and later.
#include <algorithm>
#include <chrono>
#include <despina/backend.hpp>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace {

using std::chrono::milliseconds;

struct Model {
  explicit Model(const despina::ModelSpec&) {}
  despina::Signature signature() const {
    return {{{"IN", despina::INT32, {-1}},
             {"DELAY", despina::UINT32, {-1}},
             {"WAIT", despina::UINT32, {1}}},
            {{"OUT", despina::INT32, {1}}, {"IDX", despina::UINT32, {1}}},
            0};
  }
};

// Sends IN[i] and i as OUT and IDX, DELAY[i] milliseconds after the one before.
void Repeat(despina::Request request) try {
  const auto in = request.input<int32_t>(0);
  const auto delay = request.input<uint32_t>(1);
  for (uint32_t i = 0; i < in.size() && !request.cancelled(); ++i) {
    std::this_thread::sleep_for(milliseconds(delay[i]));
    *request.allocate<int32_t>(0, {1}).data() = in[i];
    *request.allocate<uint32_t>(1, {1}).data() = i;
    request.send();
  }
  request.complete();
} catch (const despina::Error& error) {
  request.fail(error);
}

class Instance {
 public:
  static constexpr uint64_t kCapabilities = DESPINA_STREAMING | DESPINA_ASYNC;

  Instance(Model&, const despina::Placement&) {}

  // Takes the next request WAIT milliseconds after this one.
  void execute(despina::Batch& batch) {
    const despina::Request request = batch[0];
    const size_t count = request.input<int32_t>(0).size();
    const size_t delays = request.input<uint32_t>(1).size();
    if (count != delays) {
      throw despina::InvalidArgument("expected IN and DELAY of the same size, got " +
                                     std::to_string(count) + " and " + std::to_string(delays));
    }
    const milliseconds wait(request.input<uint32_t>(2)[0]);
    const auto ended = [](const std::future<void>& each) {
      return each.wait_for(milliseconds(0)) == std::future_status::ready;
    };
    running_.erase(std::remove_if(running_.begin(), running_.end(), ended), running_.end());
    running_.push_back(std::async(std::launch::async, Repeat, request.detach()));
    std::this_thread::sleep_for(wait);
  }

 private:
  // Their destructors wait.
  std::vector<std::future<void>> running_;
};

}  // namespace

DESPINA_BACKEND(repeat, Model, Instance)
