#pragma once
#include "kernels/decode_attention/decode_attention.h"

namespace kv {

/// How the tokens of a launch become work. A lane is one KV head and a pass over its rows, 8 or 16 at a time; every
/// lane has the same tokens to go through, in units that are cut into ranges.
enum class DecodeSplit : int32_t {
  even,       ///< units are tiles, ranges are alike for all thread blocks, wherever sequences begin and end
  invariant,  ///< units are chunks of sequences, cut by their own length alone, so that results do not depend on the
              ///< batch
};

// Invariant chunks begin at the multiples of a power of two.
constexpr int32_t kShortestChunkShift = 10;
constexpr int32_t kMostChunks = 32;

/// Even ranges have at least as many tiles, where the tokens are few.
constexpr int32_t kLeastTilesOfRange = 8;

/// Sequences of one launch: what comes before each is kept in shared memory.
constexpr int32_t kMostSequences = 512;

constexpr int kDecodeWarps = 4;
constexpr int kDecodeThreads = 32 * kDecodeWarps;
/// One warp more than those that compute: it finds the items, and counts what is done. Whoever brings tiles gets them
/// all before anything else that it asked the memory for.
constexpr int kDecodeMmaThreads = kDecodeThreads + 32;
constexpr int kDecodePlainRows = 4;
constexpr int kDecodePlainTileTokens = 64;

/// The logarithm of the tokens of an invariant chunk, of a sequence with this length.
KV_DEVICE constexpr int32_t chunk_shift_of(int32_t length) {
  int32_t shift = kShortestChunkShift;
  while ((int64_t{kMostChunks} << shift) < length) ++shift;
  return shift;
}

/// Columns of a partial output, which is of whole words of 16 bytes.
KV_DEVICE constexpr int32_t partial_width_of(int32_t value_dim) {
  return (value_dim + 3) / 4 * 4;
}

/// What every decode kernel is launched with: some sequences of a batch, and the memory for their partial results,
/// which rows that one thread block does by itself go without.
struct DecodeKernelParams {
  DecodeAttentionParams attention;
  float* partial_outputs;  // [partial rows, partial_width]: sum of 2^(logit - greatest) * value
  float* partial_sums;     // [partial rows, 2]: greatest logit in base 2, sum of 2^(logit - greatest)
  // Zeros before and after.
  uint32_t* num_handed_out;  // ranges that thread blocks asked for beyond their first two
  uint32_t* num_arrived;  // [sequences of the launch, lanes]: pieces that are done, of rows that are cut into several
  DecodeSplit split;
  int32_t first_sequence;
  int32_t num_sequences;
  int32_t num_lanes;  // KV heads times passes
  int32_t query_heads_per_kv_head;
  int32_t num_rows;  // of a KV head: query tokens times the query heads that share it
  int32_t capacity;  // tokens that a sequence has room for

  KV_DEVICE int32_t partial_width() const { return partial_width_of(attention.value_dim); }
};

enum class DecodeKernel { plain, mma };

/// Whether the kernel is for such arguments on a GPU of this compute capability, 90 for 9.0.
bool can_run(DecodeKernel kernel, const DecodeAttentionParams& params, int compute_capability);

/// Queues the kernel, which must be able to run.
void launch_decode_attention(DecodeKernel kernel, const DecodeAttentionParams& params, Stream& stream);

}  // namespace kv
