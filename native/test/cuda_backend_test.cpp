#include <doctest/doctest.h>

#include <cstdlib>
#include <future>
#include <thread>

#include "test/devices.h"

namespace kv::test {
namespace {

/// A setting of the fake driver, for as long as this lives.
class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Setting() { unsetenv(name_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
};

}  // namespace

TEST_SUITE_BEGIN("CUDA backend");

TEST_CASE("lists the devices of the driver beside the host") {
  const Setting devices("KV_FAKE_CUDA_DEVICES", "3");
  const auto found = list_devices();
  REQUIRE(found.size() == 4);
  CHECK(found[0].name == "host");
  CHECK(found[3].name == "cuda:2");
  CHECK(found[3].kind == "cuda");
  CHECK(found[3].compute_capability == 90);
  CHECK(found[3].uuid == "GPU-00000000-0000-0000-0000-000000000002");
  CHECK(code_of([] { open_backend("cuda:3", 0); }) == "DEVICE_NOT_FOUND");
  CHECK(code_of([] { open_backend("cuda:", 0); }) == "DEVICE_NOT_FOUND");
}

TEST_CASE("gives back all it took") {
  const auto observer = OnFakeCuda::open();
  const size_t free_before = observer->memory_info().free_bytes;
  {
    const auto backend = OnFakeCuda::open();
    const StreamPtr stream = backend->make_stream();
    const auto memory = allocate(backend, stream, 12'345);
    const auto plain = allocate(backend, stream, 12'345, MemoryKind::plain);
    const auto event = backend->make_event(true);
    CHECK(observer->memory_info().free_bytes < free_before - 2 * 12'345);
  }
  CHECK(observer->memory_info().free_bytes == free_before);
}

TEST_CASE("serves plain memory where there are no pools") {
  const Setting pools("KV_FAKE_CUDA_POOLS", "0");
  const auto backend = OnFakeCuda::open();
  CHECK_FALSE(backend->properties().supports_pools);
  const StreamPtr stream = backend->make_stream();
  auto memory = allocate(backend, stream, 1000);
  stream->fill(memory->address(), 4, 1000);
  CHECK(contents(*memory, *stream) == repeated(1000, 4));
  const CudaHold hold({stream});
  stream->fill(memory->address(), 5, 1000);
  memory.reset();
  CHECK(backend->pool_held_bytes() == 0);
  backend->trim_pool(0);
}

TEST_CASE("frees memory after the work of streams of other devices") {
  const Setting devices("KV_FAKE_CUDA_DEVICES", "2");
  const auto first = open_backend("cuda:0", 0);
  const auto second = open_backend("cuda:1", 0);
  for (const MemoryKind kind : {MemoryKind::pool, MemoryKind::plain, MemoryKind::pinned}) {
    const StreamPtr home = first->make_stream();
    const StreamPtr far = second->make_stream();
    auto memory = allocate(first, home, 1000, kind);
    auto copy = allocate(second, far, 1000);
    home->fill(memory->address(), 8, 1000);
    memory->use_on(far);
    std::promise<void> freed;
    {
      const CudaHold hold({far});
      far->copy(copy->address(), memory->address(), 1000);
      // Must come back although nothing goes on: a free never waits for work.
      memory.reset();
    }
    CHECK(contents(*copy, *far) == repeated(1000, 8));
  }
}

TEST_CASE("knows what lies on the device and what does not") {
  const auto backend = OnFakeCuda::open();
  const StreamPtr stream = backend->make_stream();
  for (const MemoryKind kind : {MemoryKind::pool, MemoryKind::plain, MemoryKind::pinned}) {
    const auto memory = allocate(backend, stream, 1000, kind);
    CHECK(backend->is_resident(memory->address(), 1000, kind));
    const MemoryKind other = kind == MemoryKind::pinned ? MemoryKind::plain : MemoryKind::pinned;
    CHECK_FALSE(backend->is_resident(memory->address(), 1000, other));
  }
}

TEST_CASE("works on threads that never made its context current") {
  const auto backend = OnFakeCuda::open();
  const StreamPtr stream = backend->make_stream();
  const auto start = backend->make_event(true);
  const auto end = backend->make_event(true);
  std::string failure;
  std::thread([&] {
    failure = code_of([&] {
      const auto memory = allocate(backend, stream, 1000);
      stream->record(*start);
      stream->fill(memory->address(), 1, 1000);
      stream->record(*end);
      contents(*memory, *stream);
      end->elapsed_ms_since(*start);
      backend->make_stream()->wait(*end);
      backend->memory_info();
    });
  }).join();
  CHECK(failure == "");
}

TEST_CASE("tells a callback of the failure that the work ended in") {
  const auto backend = OnFakeCuda::open();
  const StreamPtr stream = backend->make_stream();
  std::promise<std::exception_ptr> failed;
  {
    const CudaHold hold({stream});
    stream->when_done([&](const std::exception_ptr& failure) { failed.set_value(failure); });
    const Setting broken("KV_FAKE_CUDA_FAIL_AT", "broken:1+");
    CHECK(code_of([&] { stream->synchronize(); }) == "CUDA_ERROR");
    const std::exception_ptr failure = failed.get_future().get();
    if (failure != nullptr) CHECK(code_of([&] { std::rethrow_exception(failure); }) == "CUDA_ERROR");
  }
  backend->memory_info();
}

TEST_CASE("says that work is not idle, or why it cannot know") {
  const auto backend = OnFakeCuda::open();
  const StreamPtr stream = backend->make_stream();
  const Setting failing("KV_FAKE_CUDA_FAIL_AT", "query:1");
  CHECK(code_of([&] { stream->is_idle(); }) == "CUDA_ERROR");
}

TEST_SUITE_END();

}  // namespace kv::test
