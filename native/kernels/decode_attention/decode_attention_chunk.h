#pragma once
#include <cstdint>

#include "kernels/decode_attention/decode_attention.h"
#include "kernels/host/partial_rows.h"

namespace kv {

/// Rows of padded vectors, so that no loop over a head's width has a rest.
constexpr int32_t kRowPadding = 16;

/// Tokens of a sequence that one thread attends to at once. Positions are cut at its multiples, and what the pieces
/// give is added up from the first to the last, so that a result depends on nothing but its own sequence.
constexpr int32_t kChunkTokens = 256;

/// Tokens whose logits are kept before their values are read.
constexpr int32_t kTileTokens = 64;

constexpr int32_t padded_width(int32_t width) {
  return (width + kRowPadding - 1) / kRowPadding * kRowPadding;
}

/// What some tokens of a sequence give to each of its rows, where a row is a query token and a query head. Rows stand
/// in the order [num_kv_heads, query_length, query heads per KV head].
struct PartialRows {
  float* weighted;     // [rows, padded value width]: sum of 2^(logit - greatest) * value
  float* greatest;     // [rows]: in base 2
  float* denominator;  // [rows]: sum of 2^(logit - greatest)

  PartialRow row(int64_t index, int64_t width) const {
    return {weighted + index * width, greatest + index, denominator + index};
  }
};

/// Memory of one thread.
struct ChunkScratch {
  float* queries;     // [rows, padded key width]
  float* logits;      // [rows, kTileTokens]
  std::byte* staged;  // four heads of the padded greater width, for widths that are no whole vectors
};

/// Some tokens of one sequence and some of its KV heads.
struct Chunk {
  int64_t sequence;
  int64_t begin;  // positions
  int64_t end;
  int64_t first_head;
  int64_t end_head;
  PartialRows to;
  ChunkScratch scratch;
};

using AttendChunk = void (*)(const DecodeAttentionParams& params, const Chunk& chunk);

/// The function for caches of a type.
AttendChunk attend_chunk_portable(Dtype dtype);
AttendChunk attend_chunk_avx2(Dtype dtype);
AttendChunk attend_chunk_avx512(Dtype dtype);
/// The function of a variant other than the reference.
AttendChunk attend_chunk_for(HostVariant variant, Dtype dtype);

}  // namespace kv
