#include "test/fake_cuda/worker.h"

#include <random>
#include <thread>

#include "test/fake_cuda/call.h"

namespace fake {
namespace {

/// A stream whose next task may be done: any, so that what is not ordered does not happen in order by chance.
std::list<std::shared_ptr<Stream>>::iterator choose() {
  static std::minstd_rand random;
  auto& working = state().working;
  if (state().is_paused) return working.end();
  auto chosen = working.end();
  unsigned num_ready = 0;
  for (auto each = working.begin(); each != working.end(); ++each) {
    if ((*each)->tasks.front().is_ready() && random() % ++num_ready == 0) chosen = each;
  }
  return chosen;
}

void work() {
  const Inside inside;
  Lock lock(state().mutex);
  while (!state().is_gone) {
    const auto chosen = choose();
    if (chosen == state().working.end()) {
      state().changed.wait(lock);
      continue;
    }
    auto& tasks = (*chosen)->tasks;
    tasks.front().run();
    tasks.pop_front();
    if (tasks.empty()) state().working.erase(chosen);
    state().changed.notify_all();
  }
}

/// Ends with the process, as the driver does: from then on every call says so.
struct Worker {
  std::thread thread{work};

  ~Worker() {
    {
      const Lock lock(state().mutex);
      state().is_gone = true;
    }
    state().changed.notify_all();
    thread.join();
  }
};

}  // namespace

void start_worker() {
  static Worker worker;
}

}  // namespace fake
