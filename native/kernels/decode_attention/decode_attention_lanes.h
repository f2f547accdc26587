#pragma once
// One chunk of decode attention on vectors of any width. Included by one source for each instruction set, after the
// headers of the standard library: all that stands here is compiled for that instruction set.
#include "kernels/decode_attention/decode_attention_chunk.h"

namespace kv {

/// Tokens of a chunk that some rows see.
struct Tokens {
  const std::byte* keys[kChunkTokens];    // each token's head 0
  const std::byte* values[kChunkTokens];  // as keys
  float offsets[kChunkTokens];            // from the chunk's first position
  int32_t count;
};

/// Those of them whose logits are kept before their values are read.
struct Tile {
  int32_t begin;
  int32_t count;
};

/// The keys, or the values, of tokens that are not computed on yet, to be fetched from memory.
struct Ahead {
  const KvPlane& plane;
  const std::byte* const* tokens;
  int32_t count;
};

/// Tokens that share the registers with a group of rows: each loaded element serves all rows, each query all tokens.
constexpr int32_t kGroupTokens = 4;

template <typename Lanes, Dtype dtype>
class ChunkAttention {
 public:
  ChunkAttention(const DecodeAttentionParams& params, const Chunk& chunk)
      : p_(params),
        chunk_(chunk),
        length_(params.length_of(chunk.sequence)),
        rows_per_head_(params.query_length * params.query_heads_per_kv_head()),
        key_width_(padded_width(params.key_dim)),
        value_width_(padded_width(params.value_dim)) {}

  void run() {
    load_queries();
    clear();
    // Tokens that every query token sees go through all rows at once; the others, row by row of who sees them.
    const int64_t first_query = length_ - p_.query_length;
    const bool sees_first = p_.query_masks == nullptr && first_query >= 0;
    const int64_t common_begin = p_.window_begin(length_ - 1);
    const int64_t common_end = first_query + (sees_first ? 1 : 0);
    attend_positions(common_begin, common_end, 0, rows_per_head_, [](int64_t) { return true; });
    if (p_.query_length == 1 && sees_first) return;
    const int32_t rows_per_token = p_.query_heads_per_kv_head();
    for (int32_t token = 0; token < p_.query_length; ++token) {
      const auto is_seen = [&](int64_t position) { return p_.sees(chunk_.sequence, length_, token, position); };
      const int64_t begin = p_.window_begin(first_query + token);
      const int64_t before = common_begin < common_end ? common_begin : begin;
      attend_positions(begin, before, token * rows_per_token, rows_per_token, is_seen);
      attend_positions(common_begin < common_end ? common_end : begin, length_, token * rows_per_token, rows_per_token,
                       is_seen);
    }
  }

 private:
  using Floats = typename Lanes::Floats;
  static constexpr int64_t kElementBytes = element_bytes(dtype);
  static constexpr float kLog2OfE = 1.4426950408889634f;

  int64_t row_index(int64_t head, int64_t row) const { return head * rows_per_head_ + row; }
  float* query(int64_t head, int64_t row) const { return chunk_.scratch.queries + row_index(head, row) * key_width_; }
  float* logits(int64_t head, int64_t row) const { return chunk_.scratch.logits + row_index(head, row) * kTileTokens; }
  float* weighted(int64_t head, int64_t row) const { return chunk_.to.weighted + row_index(head, row) * value_width_; }

  /// The queries as floats, with the factors of the logits in them.
  void load_queries() const {
    const float factor = p_.soft_cap > 0 ? p_.softmax_scale : p_.softmax_scale * kLog2OfE;
    const int32_t rows_per_token = p_.query_heads_per_kv_head();
    for (int64_t head = chunk_.first_head; head < chunk_.end_head; ++head) {
      for (int32_t row = 0; row < rows_per_head_; ++row) {
        const int64_t index =
            p_.row_of(chunk_.sequence, row / rows_per_token, head * rows_per_token + row % rows_per_token);
        const std::byte* from = p_.query + index * p_.key_dim * element_bytes(p_.query_dtype);
        float* to = query(head, row);
        for (int32_t i = 0; i < p_.key_dim; ++i) to[i] = load_element(p_.query_dtype, from, i) * factor;
        for (int32_t i = p_.key_dim; i < key_width_; ++i) to[i] = 0;
      }
    }
  }

  void clear() const {
    const int64_t begin = row_index(chunk_.first_head, 0);
    const int64_t end = row_index(chunk_.end_head, 0);
    for (int64_t i = begin * value_width_; i < end * value_width_; ++i) chunk_.to.weighted[i] = 0;
    for (int64_t i = begin; i < end; ++i) chunk_.to.greatest[i] = -kInfinity;
    for (int64_t i = begin; i < end; ++i) chunk_.to.denominator[i] = 0;
  }

  /// The chunk's positions from `begin` to `end`, for some rows of every head.
  template <typename IsSeen>
  void attend_positions(int64_t begin, int64_t end, int32_t first_row, int32_t num_rows, const IsSeen& is_seen) {
    begin = begin > chunk_.begin ? begin : chunk_.begin;
    end = end < chunk_.end ? end : chunk_.end;
    Tokens tokens;
    tokens.count = 0;
    while (begin < end) {
      const int64_t block = p_.block_of(chunk_.sequence, begin);
      int64_t token = begin % p_.view.tokens_per_block;
      const int64_t in_block = p_.view.tokens_per_block - token;
      const int64_t block_end = begin + in_block < end ? begin + in_block : end;
      for (; begin < block_end; ++begin, ++token) {
        if (block < 0 || !is_seen(begin)) continue;
        tokens.keys[tokens.count] = p_.view.keys.head(block, token, 0);
        tokens.values[tokens.count] = p_.view.values.head(block, token, 0);
        tokens.offsets[tokens.count] = static_cast<float>(begin - chunk_.begin);
        ++tokens.count;
      }
    }
    for (int32_t i = 0; i < tokens.count; i += kTileTokens) {
      const int32_t left = tokens.count - i;
      attend_tile(tokens, {i, left < kTileTokens ? left : kTileTokens}, first_row, num_rows);
    }
  }

  /// The heads in the order that memory has: where a token's heads lie side by side, all of them for a few tokens.
  /// While keys are read the values are fetched, and with those the keys of the next tile.
  void attend_tile(const Tokens& tokens, const Tile& tile, int32_t first_row, int32_t num_rows) {
    const bool is_token_major = p_.view.keys.head_stride_bytes < p_.view.keys.token_stride_bytes;
    const int64_t heads_at_once = is_token_major ? chunk_.end_head - chunk_.first_head : 1;
    const int32_t next = tile.begin + tile.count;
    const Ahead values{p_.view.values, tokens.values + tile.begin, tile.count};
    const Ahead keys{p_.view.keys, tokens.keys + next, tokens.count - next};
    for (int64_t head = chunk_.first_head; head < chunk_.end_head; head += heads_at_once) {
      const int64_t end_head = head + heads_at_once;
      each_group(p_.view.keys, tokens.keys + tile.begin, tile.count, values, head, end_head,
                 [&](const auto& group) { score_rows(group, first_row, first_row + num_rows); });
      for (int64_t each = head; each < end_head; ++each) {
        for (int32_t row = first_row; row < first_row + num_rows; ++row) weigh(tokens, tile, each, row);
      }
      each_group(p_.view.values, tokens.values + tile.begin, tile.count, keys, head, end_head,
                 [&](const auto& group) { accumulate_rows(group, first_row, first_row + num_rows); });
    }
  }

  template <int kNumTokens>
  struct Group {
    static constexpr int kTokens = kNumTokens;
    const std::byte* token[kNumTokens];  // of one head
    int64_t head;
    int32_t first_token;  // in the tile
  };

  /// Calls work(group) for tokens, four at a time and the last ones one by one, and for each of some heads.
  template <typename Work>
  void each_group(const KvPlane& plane, const std::byte* const* tokens, int32_t count, const Ahead& ahead,
                  int64_t first_head, int64_t end_head, const Work& work) {
    int32_t token = 0;
    for (; token + kGroupTokens <= count; token += kGroupTokens) {
      for (int64_t head = first_head; head < end_head; ++head) {
        if (token + kGroupTokens <= ahead.count) fetch(ahead, token, head);
        work(group_of<kGroupTokens>(plane, tokens, head, token));
      }
    }
    for (; token < count; ++token) {
      for (int64_t head = first_head; head < end_head; ++head) work(group_of<1>(plane, tokens, head, token));
    }
  }

  static void fetch(const Ahead& ahead, int32_t token, int64_t head) {
    for (int32_t i = token; i < token + kGroupTokens; ++i) {
      const std::byte* from = ahead.tokens[i] + head * ahead.plane.head_stride_bytes;
      for (int32_t line = 0; line < ahead.plane.head_bytes; line += 64) KV_PREFETCH(from + line);
    }
  }

  template <int kTokens>
  Group<kTokens> group_of(const KvPlane& plane, const std::byte* const* tokens, int64_t head,
                          int32_t first_token) const {
    Group<kTokens> group;
    group.head = head;
    group.first_token = first_token;
    for (int i = 0; i < kTokens; ++i) group.token[i] = tokens[first_token + i] + head * plane.head_stride_bytes;
    // A width that is no whole vectors: through a copy with zeros behind it.
    const int64_t padded_bytes = padded_width(static_cast<int32_t>(plane.head_bytes / kElementBytes)) * kElementBytes;
    if (plane.head_bytes == padded_bytes) return group;
    for (int i = 0; i < kTokens; ++i) {
      std::byte* staged = chunk_.scratch.staged + i * padded_bytes;
      std::memcpy(staged, group.token[i], static_cast<size_t>(plane.head_bytes));
      std::memset(staged + plane.head_bytes, 0, static_cast<size_t>(padded_bytes - plane.head_bytes));
      group.token[i] = staged;
    }
    return group;
  }

  template <int kTokens>
  void score_rows(const Group<kTokens>& group, int32_t row, int32_t end_row) const {
    for (; row + Lanes::kRows <= end_row; row += Lanes::kRows) score<kTokens, Lanes::kRows>(group, row);
    for (; row < end_row; ++row) score<kTokens, 1>(group, row);
  }

  /// logit = query . key, for each token of the group and some rows.
  template <int kTokens, int kRows>
  void score(const Group<kTokens>& group, int32_t first_row) const {
    const float* queries = query(group.head, first_row);
    Floats sums[kRows][kTokens];
    for (int r = 0; r < kRows; ++r) {
      for (int t = 0; t < kTokens; ++t) sums[r][t] = Lanes::zero();
    }
    for (int32_t i = 0; i < key_width_; i += Lanes::kWidth) {
      Floats keys[kTokens];
      for (int t = 0; t < kTokens; ++t) {
        keys[t] = Lanes::template load_elements<dtype>(group.token[t] + i * kElementBytes);
      }
      for (int r = 0; r < kRows; ++r) {
        const Floats q = Lanes::load(queries + r * key_width_ + i);
        for (int t = 0; t < kTokens; ++t) sums[r][t] = Lanes::multiply_add(q, keys[t], sums[r][t]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      float* to = logits(group.head, first_row + r) + group.first_token;
      if constexpr (kTokens == 4) {
        Lanes::store_sums(to, sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
      } else {
        for (int t = 0; t < kTokens; ++t) to[t] = Lanes::sum(sums[r][t]);
      }
    }
  }

  /// Turns a row's logits into weights relative to the greatest so far, and what was summed before with them.
  void weigh(const Tokens& tokens, const Tile& tile, int64_t head, int32_t row) const {
    float* weights = logits(head, row);
    const int32_t padded = (tile.count + Lanes::kWidth - 1) / Lanes::kWidth * Lanes::kWidth;
    if (p_.soft_cap > 0) cap(weights, padded);
    if (p_.alibi_slopes != nullptr) add_distances(tokens.offsets + tile.begin, head, row, tile.count);
    for (int32_t i = tile.count; i < padded; ++i) weights[i] = -kInfinity;
    Floats greatest = Lanes::load(weights);
    for (int32_t i = Lanes::kWidth; i < padded; i += Lanes::kWidth) {
      greatest = Lanes::greater(greatest, Lanes::load(weights + i));
    }
    float& before = chunk_.to.greatest[row_index(head, row)];
    const float now = Lanes::greatest(greatest) > before ? Lanes::greatest(greatest) : before;
    const float shift = now == -kInfinity ? 0 : now;
    Floats sum = Lanes::zero();
    for (int32_t i = 0; i < padded; i += Lanes::kWidth) {
      const Floats weight = power_of_2(Lanes::subtract(Lanes::load(weights + i), Lanes::all(shift)));
      Lanes::store(weights + i, weight);
      sum = Lanes::add(sum, weight);
    }
    float& denominator = chunk_.to.denominator[row_index(head, row)];
    if (now != before) {
      const float factor = std::exp2(before - shift);
      denominator *= factor;
      rescale(weighted(head, row), factor);
    }
    denominator += Lanes::sum(sum);
    before = now;
  }

  void rescale(float* row, float factor) const {
    for (int32_t i = 0; i < value_width_; i += Lanes::kWidth) {
      Lanes::store(row + i, Lanes::multiply(Lanes::load(row + i), Lanes::all(factor)));
    }
  }

  /// soft_cap * tanh(x / soft_cap), into base 2; tanh(y) = 1 - 2 / (e^2y + 1).
  void cap(float* row, int32_t count) const {
    const Floats to_power = Lanes::all(2 * kLog2OfE / p_.soft_cap);
    const Floats most = Lanes::all(p_.soft_cap * kLog2OfE);
    // e^2y is past the floats from y = 44 on, where tanh(y) is 1 long since.
    const Floats limit = Lanes::all(-64);
    for (int32_t i = 0; i < count; i += Lanes::kWidth) {
      const Floats power = Lanes::multiply(Lanes::load(row + i), to_power);
      // With the sign turned the smaller of two is the greater, which keeps what is not a number.
      const Floats bounded =
          Lanes::subtract(Lanes::zero(), Lanes::greater(limit, Lanes::subtract(Lanes::zero(), power)));
      const Floats grown = power_of_2(bounded);
      const Floats tanh = Lanes::divide(Lanes::subtract(grown, Lanes::all(1)), Lanes::add(grown, Lanes::all(1)));
      Lanes::store(row + i, Lanes::multiply(most, tanh));
    }
  }

  void add_distances(const float* offsets, int64_t head, int32_t row, int32_t count) const {
    const int32_t rows_per_token = p_.query_heads_per_kv_head();
    const int64_t query_position = length_ - p_.query_length + row / rows_per_token;
    const float slope = p_.alibi_slopes[head * rows_per_token + row % rows_per_token] * kLog2OfE;
    const auto first = static_cast<float>(chunk_.begin - query_position);
    float* to = logits(head, row);
    for (int32_t i = 0; i < count; ++i) to[i] += (offsets[i] + first) * slope;
  }

  template <int kTokens>
  void accumulate_rows(const Group<kTokens>& group, int32_t row, int32_t end_row) const {
    for (; row + Lanes::kRows <= end_row; row += Lanes::kRows) accumulate<kTokens, Lanes::kRows>(group, row);
    for (; row < end_row; ++row) accumulate<kTokens, 1>(group, row);
  }

  /// weighted += weight * value, for each token of the group and some rows.
  template <int kTokens, int kRows>
  void accumulate(const Group<kTokens>& group, int32_t first_row) const {
    float* to = weighted(group.head, first_row);
    const float* weights = logits(group.head, first_row) + group.first_token;
    Floats weight[kRows][kTokens];
    for (int r = 0; r < kRows; ++r) {
      for (int t = 0; t < kTokens; ++t) weight[r][t] = Lanes::all(weights[r * kTileTokens + t]);
    }
    for (int32_t i = 0; i < value_width_; i += Lanes::kWidth) {
      Floats values[kTokens];
      for (int t = 0; t < kTokens; ++t) {
        values[t] = Lanes::template load_elements<dtype>(group.token[t] + i * kElementBytes);
      }
      for (int r = 0; r < kRows; ++r) {
        Floats sum = Lanes::load(to + r * value_width_ + i);
        for (int t = 0; t < kTokens; ++t) sum = Lanes::multiply_add(weight[r][t], values[t], sum);
        Lanes::store(to + r * value_width_ + i, sum);
      }
    }
  }

  /// 2^x for x up to 127, within two units in the last place: 2^n times the Taylor series of 2^f for |f| <= 1/2.
  static Floats power_of_2(Floats x) {
    // The second operand comes back when it is not a number.
    x = Lanes::greater(Lanes::all(-160), x);
    const Floats n = Lanes::nearest(x);
    const Floats f = Lanes::subtract(x, n);
    Floats sum = Lanes::all(1.540353039338161e-4f);
    for (const float term : {1.333355814642844e-3f, 9.618129107628477e-3f, 5.550410866482158e-2f, 2.402265069591007e-1f,
                             6.931471805599453e-1f, 1.0f}) {
      sum = Lanes::multiply_add(sum, f, Lanes::all(term));
    }
    return Lanes::scale(sum, n);
  }

  static constexpr float kInfinity = std::numeric_limits<float>::infinity();

  const DecodeAttentionParams& p_;
  const Chunk& chunk_;
  const int64_t length_;
  const int32_t rows_per_head_;
  const int32_t key_width_;
  const int32_t value_width_;
};

template <typename Lanes, Dtype dtype>
void attend_chunk(const DecodeAttentionParams& params, const Chunk& chunk) {
  ChunkAttention<Lanes, dtype>(params, chunk).run();
}

template <typename Lanes>
AttendChunk attend_chunk_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::fp16:
      return attend_chunk<Lanes, Dtype::fp16>;
    case Dtype::bf16:
      return attend_chunk<Lanes, Dtype::bf16>;
    default:
      return attend_chunk<Lanes, Dtype::fp32>;
  }
}

}  // namespace kv
