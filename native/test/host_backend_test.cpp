#include <doctest/doctest.h>

#include <algorithm>

#include "test/devices.h"

namespace kv::test {

constexpr size_t kLargeBytes = size_t{256} << 20;

TEST_SUITE_BEGIN("host backend");

TEST_CASE("counts large memory as taken at once, though its pages come later") {
  const auto backend = OnHost::open();
  const StreamPtr stream = backend->make_stream();
  const auto free_before = static_cast<double>(backend->memory_info().free_bytes);
  const HostHold hold({stream});
  const auto memory = allocate(backend, stream, kLargeBytes);
  const double taken = free_before - static_cast<double>(backend->memory_info().free_bytes);
  // Other processes take and give back meanwhile.
  CHECK(taken > 0.5 * kLargeBytes);
  CHECK(taken < 1.5 * kLargeBytes);
}

TEST_CASE("makes every page of large memory resident on the stream, before other work") {
  const auto backend = OnHost::open();
  const StreamPtr stream = backend->make_stream();
  for (const size_t bytes : {kLargeBytes, (size_t{16} << 20) + 1}) {
    const auto memory = allocate(backend, stream, bytes);
    stream->synchronize();
    CHECK(backend->is_resident(memory->address(), bytes, memory->kind()));
  }
}

TEST_CASE("keeps the contents of large memory") {
  const auto backend = OnHost::open();
  const StreamPtr stream = backend->make_stream();
  const auto memory = allocate(backend, stream, kLargeBytes);
  stream->fill(memory->address(), 6, kLargeBytes);
  stream->synchronize();
  const auto is_six = [](std::byte each) { return each == std::byte{6}; };
  CHECK(std::all_of(memory->address(), memory->address() + kLargeBytes, is_six));
}

TEST_CASE("refuses what is not free, and counts nothing for it") {
  const auto backend = OnHost::open();
  const StreamPtr stream = backend->make_stream();
  const HostHold hold({stream});
  const auto free_before = static_cast<double>(backend->memory_info().free_bytes);
  for (int i = 0; i < 100; ++i) {
    CHECK(code_of([&] { allocate(backend, stream, backend->memory_info().total_bytes); }) == "OUT_OF_MEMORY");
    CHECK(code_of([&] { allocate(backend, stream, SIZE_MAX / 2); }) == "OUT_OF_MEMORY");
  }
  CHECK(static_cast<double>(backend->memory_info().free_bytes) > free_before - 0.5 * kLargeBytes);
}

TEST_CASE("says what it is") {
  const auto backend = OnHost::open();
  const DeviceProperties& properties = backend->properties();
  CHECK(properties.name == "host");
  CHECK(properties.kind == "host");
  CHECK(properties.total_bytes == backend->memory_info().total_bytes);
  CHECK(backend->memory_info().free_bytes <= backend->memory_info().total_bytes);
  CHECK(properties.num_multiprocessors > 0);
  CHECK(backend->pool_held_bytes() == 0);
}

TEST_SUITE_END();

}  // namespace kv::test
