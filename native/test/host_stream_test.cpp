#include <doctest/doctest.h>

#include <numeric>
#include <thread>

#include "test/devices.h"

namespace kv::test {

TEST_SUITE_BEGIN("host stream");

TEST_CASE("runs its tasks in order, on a thread of its own") {
  HostStream stream;
  std::vector<int> order;
  std::thread::id thread;
  for (int i = 0; i < 1000; ++i) stream.enqueue([&, i] { order.push_back(i); });
  stream.enqueue([&] { thread = std::this_thread::get_id(); });
  stream.synchronize();
  std::vector<int> expected(1000);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(order == expected);
  CHECK(thread != std::this_thread::get_id());
}

TEST_CASE("goes on while another one is held up") {
  const StreamPtr held = std::make_shared<HostStream>();
  HostStream other;
  const HostHold hold({held});
  bool is_done = false;
  other.enqueue([&] { is_done = true; });
  other.synchronize();
  CHECK(is_done);
  CHECK_FALSE(held->is_idle());
}

TEST_CASE("has let go of what its tasks owned when it is idle") {
  HostStream stream;
  const auto owned = std::make_shared<int>();
  for (int i = 0; i < 100; ++i) {
    stream.enqueue([owned] {});
    stream.synchronize();
    CHECK(owned.use_count() == 1);
  }
}

TEST_CASE("does all that is queued before it goes") {
  int num_done = 0;
  {
    HostStream stream;
    for (int i = 0; i < 100; ++i) stream.enqueue([&] { ++num_done; });
  }
  CHECK(num_done == 100);
}

TEST_CASE("launches with the parameters as they were at the call") {
  struct Params {
    int* seen;
    int value;
  };
  int seen = 0;
  Params params{&seen, 7};
  const StreamPtr stream = std::make_shared<HostStream>();
  {
    const HostHold hold({stream});
    stream->launch({.name = "test",
                    .num_thread_blocks = {1, 1, 1},
                    .num_threads = 1,
                    .params = &params,
                    .params_bytes = sizeof params,
                    .on_host = [](const void* given) {
                      const auto* read = static_cast<const Params*>(given);
                      *read->seen = read->value;
                    }});
    params.value = 8;
  }
  stream->synchronize();
  CHECK(seen == 7);
}

TEST_SUITE_END();

}  // namespace kv::test
