#pragma once
#include "kernels/decode_attention/decode_attention.h"

namespace kv {

// A sequence's tokens are cut at the multiples of a power of two that depends on its length alone, as does the order in
// which the pieces are added up: so its result does, too.
constexpr int32_t kShortestChunkShift = 10;
constexpr int32_t kMostChunks = 32;

/// Sequences of one launch: their numbers of chunks are kept in shared memory.
constexpr int32_t kMostSequences = 512;

constexpr int kDecodeWarps = 4;
constexpr int kDecodeThreads = 32 * kDecodeWarps;
constexpr int kDecodePlainRows = 4;

/// The logarithm of the tokens of a chunk, of a sequence with this length.
KV_DEVICE constexpr int32_t chunk_shift_of(int64_t length) {
  int32_t shift = kShortestChunkShift;
  while ((int64_t{kMostChunks} << shift) < length) ++shift;
  return shift;
}

/// Columns of a partial output, which is of whole words of 16 bytes.
KV_DEVICE constexpr int32_t partial_width_of(int32_t value_dim) {
  return (value_dim + 3) / 4 * 4;
}

/// How the tokens that a sequence's query tokens see are cut into chunks.
struct ChunksOfSequence {
  int64_t begin;   // the first position seen
  int64_t length;  // of the sequence
  int32_t shift;   // chunk i is of the positions from i << shift on
  int32_t first_chunk;
  int32_t num_chunks;  // at least one, that there is somebody to write the result

  KV_DEVICE static ChunksOfSequence of(const DecodeAttentionParams& p, int64_t length) {
    const int64_t begin = p.window_begin(length - p.query_length);
    const int32_t shift = chunk_shift_of(length);
    const int64_t first = begin >> shift;
    const int64_t end = (length + (int64_t{1} << shift) - 1) >> shift;
    return {begin, length, shift, static_cast<int32_t>(first), end - first < 1 ? 1 : static_cast<int32_t>(end - first)};
  }
};

/// What every decode kernel is launched with: some sequences of a batch, and the memory for their partial results,
/// which sequences of one chunk do without.
struct DecodeKernelParams {
  DecodeAttentionParams attention;
  float* partial_outputs;  // [rows of the launch, max_chunks, partial_width]: sum of 2^(logit - greatest) * value
  float* partial_sums;     // [rows of the launch, max_chunks, 2]: greatest logit in base 2, sum of 2^(logit - greatest)
  uint32_t* num_handed_out;  // items that thread blocks asked for beyond their first two; zero at first
  uint32_t* num_arrived;     // [sequences of the launch, KV heads, passes]: chunks that are done; zeros at first
  int32_t first_sequence;
  int32_t num_sequences;
  int32_t max_chunks;

  KV_DEVICE int32_t partial_width() const { return partial_width_of(attention.value_dim); }

  /// Where a chunk's partial result of a row is, counted in chunks; rows as `row_of` counts them.
  KV_DEVICE int64_t partial_of(int64_t row, int32_t chunk) const {
    const int64_t first_row = attention.row_of(first_sequence, 0, 0);
    return (row - first_row) * max_chunks + chunk;
  }
};

enum class DecodeKernel { plain, mma };

/// Whether the kernel is for such arguments on a GPU of this compute capability, 90 for 9.0.
bool can_run(DecodeKernel kernel, const DecodeAttentionParams& params, int compute_capability);

/// Queues the kernel, which must be able to run.
void launch_decode_attention(DecodeKernel kernel, const DecodeAttentionParams& params, Stream& stream);

}  // namespace kv
