#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "kernels/block_words.h"
#include "kernels/kv_view.h"

namespace kv {

/// The widest word, of 16, 8, 4, 2 or 1 bytes, that divides every address and stride of both planes and `also`.
inline int word_bytes(const KvView& view, std::initializer_list<uintptr_t> also) {
  uintptr_t bits = 16;
  for (const KvPlane& plane : {view.keys, view.values}) {
    bits |= reinterpret_cast<uintptr_t>(plane.base) | static_cast<uintptr_t>(plane.block_stride_bytes) |
            static_cast<uintptr_t>(plane.token_stride_bytes) | static_cast<uintptr_t>(plane.head_stride_bytes) |
            static_cast<uintptr_t>(plane.head_bytes);
  }
  for (const uintptr_t each : also) bits |= each;
  return static_cast<int>(bits & (~bits + 1));
}

/// Threads for a row of `words`: whole warps, enough for the row, at most 256.
inline unsigned threads_for(int64_t words) {
  return static_cast<unsigned>(std::clamp<int64_t>((words + 31) / 32 * 32, 32, 256));
}

/// The threads that copy one block by copy_words(), every one with a full share where the block is long enough.
struct BlockThreads {
  explicit BlockThreads(int64_t words)
      : num_threads(threads_for((words + kWordsPerThread - 1) / kWordsPerThread)),
        num_thread_blocks(static_cast<unsigned>((words + words_at_once() - 1) / words_at_once())) {}

  int64_t words_at_once() const { return int64_t{num_threads} * kWordsPerThread; }

  unsigned num_threads;
  unsigned num_thread_blocks;
};

}  // namespace kv
