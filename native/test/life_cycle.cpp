#include "test/life_cycle.h"

#include <future>
#include <vector>

#include "kernels/append/append.h"
#include "kernels/copy_blocks/copy_blocks.h"
#include "memory/capture.h"
#include "memory/devices.h"
#include "memory/memory.h"

namespace kv::test {
namespace {

// The host asks the system, and makes pages resident, for this much only; elsewhere it would only take time.
constexpr size_t kLargeBytes = size_t{16} << 20;
constexpr size_t kBytes = 8192;
// Long enough to go through pinned buffers, which a second copy uses again.
constexpr size_t kStagedBytes = size_t{1} << 20;

/// Two blocks of four tokens, of two heads of 16 bytes, keys and values in one buffer.
KvView small_view(const Memory& memory) {
  const KvPlane plane{memory.address(), 128, 32, 16, 16};
  KvPlane values = plane;
  values.base += 256;
  return {.keys = plane, .values = values, .num_blocks = 2, .tokens_per_block = 4, .num_kv_heads = 2};
}

void run_kernels(const std::shared_ptr<Backend>& backend, Memory& cache, Memory& input, const StreamPtr& stream) {
  cache.use_on(stream);
  input.use_on(stream);
  const KvView view = small_view(cache);
  run_append({.view = view,
              .keys = input.address(),
              .values = input.address() + 128,
              .slot_mapping = nullptr,
              .first_slot = 0,
              .num_tokens = 4},
             *stream);
  // More than travel by value, so that memory for them is allocated and freed too.
  const std::vector<BlockPair> pairs(CopyBlocksParams::kMaxInlinePairs + 1, BlockPair{0, 1});
  run_copy_blocks(view, pairs, backend, stream);
}

void measure(Stream& first, Stream& second, Backend& backend) {
  const auto start = backend.make_event(true);
  const auto end = backend.make_event(true);
  first.record(*start);
  second.wait(*start);
  second.record(*end);
  end->synchronize();
  end->elapsed_ms_since(*start);
  end->is_done();
}

void wait_for_callback(Stream& stream) {
  const auto done = std::make_shared<std::promise<void>>();
  stream.when_done([done](const std::exception_ptr&) { done->set_value(); });
  done->get_future().wait();
}

/// Records, replays, and drops a recording. A workspace and counters are there where the device is not the host.
void capture(const std::shared_ptr<Backend>& backend, const std::shared_ptr<Memory>& memory, const StreamPtr& home,
             const StreamPtr& other) {
  Capture recorded(backend, home);
  memory->use_on(home);
  home->fill(memory->address(), 3, kBytes);
  if (void* workspace = home->workspace(kBytes)) home->copy(workspace, memory->address(), kBytes);
  if (void* counters = home->counters(kBytes)) home->copy(memory->address(), counters, kBytes);
  Graph graph = recorded.finish();
  graph.replay(home);
  graph.replay(other);
  const Capture dropped(backend, home);
  memory->use_on(home);
  home->fill(memory->address(), 4, kBytes);
  home->workspace(kBytes);
  home->counters(kBytes);
}

void move_long_array(const std::shared_ptr<Backend>& backend, const StreamPtr& stream) {
  const Memory memory(backend, stream, kStagedBytes, 1, MemoryKind::pool);
  std::vector<std::byte> bytes(kStagedBytes);
  stream->upload(memory.address(), bytes.data(), bytes.size());
  stream->download(bytes.data(), memory.address(), bytes.size());
}

}  // namespace

void life_cycle(const std::string& device) {
  list_devices();
  const auto backend = open_backend(device, 0);
  const StreamPtr home = backend->make_stream();
  const StreamPtr other = backend->make_stream();
  Memory cache(backend, home, kBytes, 4096, MemoryKind::pool);
  Memory large(backend, other, device == "host" ? kLargeBytes : kBytes, 1, MemoryKind::pool);
  Memory plain(backend, home, kBytes, 1, MemoryKind::plain);
  Memory pinned(backend, home, kBytes, 1, MemoryKind::pinned);
  const auto shared = std::make_shared<Memory>(backend, home, kBytes, 1, MemoryKind::pool);
  std::array<std::byte, kBytes> bytes{};

  home->fill(cache.address(), 0, kBytes);
  home->upload(plain.address(), bytes.data(), kBytes);
  plain.use_on(other);
  other->copy(plain.address(), large.address(), kBytes);
  run_kernels(backend, cache, pinned, other);
  measure(*home, *other, *backend);
  capture(backend, shared, home, other);
  wait_for_callback(*other);
  move_long_array(backend, home);
  home->download(bytes.data(), cache.address(), kBytes);
  backend->is_resident(plain.address(), kBytes, MemoryKind::plain);
  backend->memory_info();
  backend->pool_held_bytes();
  backend->trim_pool(0);
  other->synchronize();
  home->is_idle();
  for (Memory* each : {&cache, &plain, &pinned}) {
    each->use_on(other);
    other->fill(each->address(), 1, kBytes / 2);
    home->copy(each->address() + kBytes / 2, each->address() + kBytes / 2 + 100, 100);
  }
}

}  // namespace kv::test
