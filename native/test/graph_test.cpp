#include <doctest/doctest.h>

#include <algorithm>

#include "kernels/append/append.h"
#include "memory/capture.h"
#include "test/devices.h"

namespace kv::test {
namespace {

/// Captures what `work` gives to a stream.
template <typename Work>
Graph captured(const std::shared_ptr<Backend>& backend, const StreamPtr& stream, Work work) {
  Capture capture(backend, stream);
  work();
  return capture.finish();
}

/// A graph that fills memory and copies it to other memory.
Graph fill_and_copy(const std::shared_ptr<Backend>& backend, const StreamPtr& stream, const std::shared_ptr<Memory>& to,
                    const std::shared_ptr<Memory>& from, uint8_t value) {
  return captured(backend, stream, [&] {
    from->use_on(stream);
    stream->fill(from->address(), value, from->bytes());
    to->use_on(stream);
    stream->copy(to->address(), from->address(), to->bytes());
  });
}

}  // namespace

// What every capture and graph promises, whatever the device.
TEST_SUITE_BEGIN("graph");

TEST_CASE_TEMPLATE("does at each replay, in order, what was captured, and nothing before", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto from = allocate(backend, stream, 1000);
  const auto to = allocate(backend, stream, 1000);
  stream->fill(from->address(), 1, 1000);
  stream->fill(to->address(), 1, 1000);
  Graph graph = fill_and_copy(backend, stream, to, from, 7);
  CHECK(contents(*to, *stream) == repeated(1000, 1));
  for (int round = 0; round < 20; ++round) {
    stream->fill(to->address(), 2, 1000);
    graph.replay(stream);
    stream->fill(from->address(), 3, 1000);
    CHECK(contents(*to, *stream) == repeated(1000, 7));
    CHECK(contents(*from, *stream) == repeated(1000, 3));
  }
}

TEST_CASE_TEMPLATE("reads at each replay what the memory holds by then", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto cache = allocate(backend, stream, 512);
  const auto tokens = allocate(backend, stream, 64);
  const auto slots = allocate(backend, stream, sizeof(int32_t));
  const KvPlane keys{cache->address(), 128, 32, 16, 16};
  KvPlane values = keys;
  values.base += 256;
  const AppendParams params{.view = {keys, values, 2, 4, 2},
                            .keys = tokens->address(),
                            .values = tokens->address() + 32,
                            .slot_mapping = reinterpret_cast<const int32_t*>(slots->address()),
                            .first_slot = 0,
                            .num_tokens = 1};
  Graph graph = captured(backend, stream, [&] {
    for (const auto& each : {cache, tokens, slots}) each->use_on(stream);
    run_append(params, *stream);
  });
  stream->fill(cache->address(), 0, 512);
  for (int32_t slot = 0; slot < 8; ++slot) {
    stream->upload(slots->address(), &slot, sizeof slot);
    stream->fill(tokens->address(), static_cast<uint8_t>(slot + 1), 64);
    graph.replay(stream);
  }
  const auto found = contents(*cache, *stream);
  for (size_t i = 0; i < 512; ++i) CHECK(found[i] == static_cast<std::byte>(i % 256 / 32 + 1));
}

TEST_CASE("of the host waits for its last replay on another stream, as the driver's does") {
  const auto backend = OnHost::open();
  const StreamPtr first = backend->make_stream();
  const StreamPtr second = backend->make_stream();
  const auto from = allocate(backend, first, 1000);
  const auto to = allocate(backend, first, 1000);
  Graph graph = fill_and_copy(backend, first, to, from, 9);
  graph.replay(second);
  second->synchronize();
  HostHold hold({first});
  graph.replay(first);
  graph.replay(second);
  CHECK_FALSE(second->is_idle());
  hold.open();
  second->synchronize();
  CHECK(first->is_idle());
}

TEST_CASE_TEMPLATE("leaves the work of other streams alone, and orders it with memory of the captured one", On, OnHost,
                   OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const StreamPtr other = backend->make_stream();
  const auto from = allocate(backend, stream, 1000);
  const auto to = allocate(backend, stream, 1000);
  Graph graph = captured(backend, stream, [&] {
    to->use_on(other);
    other->fill(to->address(), 5, 1000);
    CHECK(contents(*to, *other) == repeated(1000, 5));
  });
  other->fill(to->address(), 6, 1000);
  other->synchronize();
  graph.replay(stream);
  CHECK(contents(*to, *stream) == repeated(1000, 6));
}

TEST_CASE_TEMPLATE("goes on while it is destroyed, and its memory is freed behind it", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const StreamPtr other = backend->make_stream();
  const auto result = allocate(backend, stream, 1000);
  {
    const typename On::Hold hold({stream});
    const auto from = allocate(backend, stream, 1000);
    Graph graph = fill_and_copy(backend, stream, result, from, 8);
    graph.replay(stream);
    graph.replay(other);
  }
  other->synchronize();
  CHECK(contents(*result, *stream) == repeated(1000, 8));
}

TEST_CASE_TEMPLATE("does not run once memory that it uses was freed", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto to = allocate(backend, stream, 1000);
  auto from = allocate(backend, stream, 1000);
  Graph graph = fill_and_copy(backend, stream, to, from, 8);
  graph.replay(stream);
  stream->fill(to->address(), 1, 1000);
  from.reset();
  CHECK(code_of([&] { graph.replay(stream); }) == "DISPOSED");
  CHECK(contents(*to, *stream) == repeated(1000, 1));
}

TEST_CASE_TEMPLATE("frees memory that it uses once the capture has ended", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  for (const MemoryKind kind : {MemoryKind::pool, MemoryKind::plain, MemoryKind::pinned}) {
    auto memory = allocate(backend, stream, 1000, kind);
    auto late = allocate(backend, stream, 1000, kind);
    stream->fill(memory->address(), 1, 1000);
    Graph graph = captured(backend, stream, [&] {
      memory->use_on(stream);
      stream->fill(memory->address(), 2, 1000);
      memory.reset();
    });
    CHECK(code_of([&] { graph.replay(stream); }) == "DISPOSED");
  }
}

TEST_CASE_TEMPLATE("refuses a second capture of a stream, and a replay on one that is captured", On, OnHost,
                   OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const StreamPtr other = backend->make_stream();
  const auto to = allocate(backend, stream, 1000);
  const auto from = allocate(backend, stream, 1000);
  Graph inner = fill_and_copy(backend, stream, to, from, 3);
  Graph graph = captured(backend, stream, [&] {
    CHECK(code_of([&] { Capture(backend, stream); }) == "CAPTURE_ERROR");
    CHECK(code_of([&] { inner.replay(stream); }) == "CAPTURE_ERROR");
    Graph of_other = fill_and_copy(backend, other, to, from, 4);
    of_other.replay(other);
    other->synchronize();
    to->use_on(stream);
    stream->fill(to->address(), 5, 1000);
  });
  CHECK(contents(*to, *other) == repeated(1000, 4));
  graph.replay(stream);
  CHECK(contents(*to, *stream) == repeated(1000, 5));
}

TEST_CASE_TEMPLATE("forgets a capture that is not finished", On, OnHost, OnFakeCuda) {
  const auto backend = On::open();
  const StreamPtr stream = backend->make_stream();
  const auto memory = allocate(backend, stream, 1000);
  stream->fill(memory->address(), 1, 1000);
  {
    const Capture capture(backend, stream);
    stream->fill(memory->address(), 2, 1000);
    CHECK(stream->capture() == &capture);
  }
  CHECK(stream->capture() == nullptr);
  stream->fill(memory->address(), 3, 500);
  CHECK(contents(*memory, *stream)[0] == std::byte{3});
  CHECK(contents(*memory, *stream)[999] == std::byte{1});
}

TEST_CASE("has workspaces of its own, which grow") {
  const auto backend = OnFakeCuda::open();
  const StreamPtr stream = backend->make_stream();
  void* const of_stream = stream->workspace(100);
  Graph graph = captured(backend, stream, [&] {
    void* const first = stream->workspace(100);
    CHECK(first != of_stream);
    CHECK(stream->workspace(50) == first);
    stream->fill(first, 1, 100);
    void* const second = stream->workspace(101);
    CHECK(second != first);
    stream->fill(second, 2, 200);  // at least twice the first one
  });
  CHECK(stream->workspace(100) == of_stream);
  graph.replay(stream);
  stream->synchronize();
}

TEST_CASE("has counters of its own, zeros before its first replay on whatever stream") {
  const auto backend = OnFakeCuda::open();
  const StreamPtr stream = backend->make_stream();
  const StreamPtr other = backend->make_stream();
  const auto seen = std::make_shared<Memory>(backend, stream, 400, kNaturalAlignment, MemoryKind::pool);
  const auto of_stream = static_cast<std::byte*>(stream->counters(100));
  stream->copy(seen->address(), of_stream, 100);
  CHECK(contents(*seen, *stream).front() == std::byte{0});
  Graph graph = captured(backend, stream, [&] {
    seen->use_on(stream);
    auto* const first = static_cast<std::byte*>(stream->counters(100));
    CHECK(first != of_stream);
    CHECK(stream->counters(50) == first);
    stream->copy(seen->address(), first, 100);
    auto* const second = static_cast<std::byte*>(stream->counters(101));
    CHECK(second != first);
    stream->copy(seen->address() + 100, second, 200);
    stream->fill(second, 5, 1);  // not zeroed again: whoever uses counters leaves zeros
  });
  CHECK(stream->counters(100) == of_stream);
  stream->fill(seen->address(), 9, 400);
  stream->synchronize();
  graph.replay(other);
  const auto found = contents(*seen, *other);
  CHECK(std::all_of(found.begin(), found.begin() + 300, [](std::byte each) { return each == std::byte{0}; }));
  graph.replay(other);
  CHECK(contents(*seen, *other)[100] == std::byte{5});
}

TEST_CASE("has its workspaces freed behind its replays on every stream") {
  const auto backend = OnFakeCuda::open();
  const StreamPtr stream = backend->make_stream();
  const StreamPtr other = backend->make_stream();
  for (int round = 0; round < 20; ++round) {
    const CudaHold hold({other});
    Graph graph = captured(backend, stream, [&] { stream->fill(stream->workspace(100), 1, 100); });
    for (int i = 0; i < 5; ++i) graph.replay(other);
  }
  other->synchronize();
}

TEST_CASE("of one kind of device is refused by the other's streams") {
  const auto host = OnHost::open();
  const auto cuda = OnFakeCuda::open();
  const StreamPtr of_host = host->make_stream();
  const StreamPtr of_cuda = cuda->make_stream();
  Graph host_graph = captured(host, of_host, [] {});
  Graph cuda_graph = captured(cuda, of_cuda, [] {});
  CHECK(code_of([&] { host_graph.replay(of_cuda); }) == "INVALID_ARGUMENT");
  CHECK(code_of([&] { cuda_graph.replay(of_host); }) == "INVALID_ARGUMENT");
  host_graph.replay(of_host);
  cuda_graph.replay(of_cuda);
}

TEST_SUITE_END();

}  // namespace kv::test
