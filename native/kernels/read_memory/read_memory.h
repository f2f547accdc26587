#pragma once
#include "kernels/kv_view.h"
#include "memory/backend.h"

namespace kv {

/// Words that a step of reading takes at once, 16 bytes in all.
constexpr int64_t kWordsPerVector = 4;

/// All that looking for a word reads. It needs every byte, and writes nothing while the word is not there: how long it
/// takes is what reading costs, for benchmarks to compare with.
struct ReadMemoryParams {
  const uint32_t* words;  // [4 * num_vectors], at a multiple of 16 bytes
  int64_t num_vectors;
  uint32_t wanted;
  uint32_t* found;  // becomes 1 where one of the words is `wanted`, else stays as it is
};

/// What it means, one word at a time.
void read_memory_cpu(const ReadMemoryParams& params);

/// Queues it on a stream, of either kind; on the host all cores read.
void run_read_memory(const ReadMemoryParams& params, Stream& stream);

}  // namespace kv
