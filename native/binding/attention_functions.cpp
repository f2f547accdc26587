#include "binding/fields.h"
#include "binding/functions.h"
#include "kernels/decode_attention/decode_attention.h"
#include "kernels/merge_attention/merge_attention.h"
#include "kernels/prefill_attention/prefill_attention.h"

namespace kv::binding {
namespace {

// What the products of widths and rows in the kernels stay far below 2^31 with.
constexpr int32_t kMaxQueryHeads = 1 << 16;

void require_heads(const KvView& view, int32_t num_query_heads) {
  if (num_query_heads % view.num_kv_heads == 0) return;
  throw invalid_argument("numQueryHeads", "must be a multiple of the view's " + std::to_string(view.num_kv_heads) +
                                              " KV heads, not " + std::to_string(num_query_heads));
}

/// Without block tables sequence i is block i.
void require_blocks(const KvView& view, int32_t batch) {
  if (batch <= view.num_blocks) return;
  throw invalid_argument("batch", "has more sequences than the view has blocks; give blockTables");
}

HostVariant variant_of(const Fields& input) {
  const auto variant =
      static_cast<HostVariant>(input.choice("hostVariant", {"fastest", "reference", "portable", "avx2", "avx512"}));
  if (!can_run(variant)) throw invalid_argument("hostVariant", "needs instructions that this processor has not");
  return variant;
}

/// What the numbers of decode and of prefill have in common.
template <typename Params>
void read_common(Params& params, const Fields& input) {
  params.batch = input.count("batch");
  params.num_query_heads = input.count("numQueryHeads", 1, kMaxQueryHeads);
  params.max_blocks = input.count("maxBlocks", 1);
  params.window_tokens = input.count("windowTokens");
  params.softmax_scale = input.finite("softmaxScale");
  params.soft_cap = input.not_negative("softCap");
  params.cache_dtype = input.dtype("cacheDtype");
  params.query_dtype = input.dtype("queryDtype");
  params.output_dtype = input.dtype("outputDtype");
}

/// Takes the view and what it says of the heads.
template <typename Params>
void read_view(Params& params, const KvView& view) {
  params.view = view;
  params.key_dim = head_width(view.keys, params.cache_dtype);
  params.value_dim = head_width(view.values, params.cache_dtype);
  require_heads(view, params.num_query_heads);
}

/// decodeAttention(view, { query, output, …, hostVariant }, stream)
Napi::Value decode_attention(const Arguments& args) {
  const Fields input(args, args.object(1, "input"));
  const Regions regions{input};
  DecodeAttentionParams params{};
  read_common(params, input);
  params.query_length = input.count("queryLength", 1, kMaxQueryLength);
  params.is_batch_invariant = input.flag("batchInvariant");
  const HostVariant variant = variant_of(input);
  // A copy: a getter of the input may release the view.
  const OpenView open = args.view(0);
  read_view(params, open.view);
  const int64_t rows_per_sequence = int64_t{params.query_length} * params.num_query_heads;

  const Region query = regions.elements("query", {params.batch, rows_per_sequence, params.key_dim}, params.query_dtype);
  const Region output =
      regions.elements("output", {params.batch, rows_per_sequence, params.value_dim}, params.output_dtype);
  const Region log_sum_exp = regions.optional_words("logSumExp", {params.batch, rows_per_sequence});
  const bool has_one_length = input.is_number("sequenceLengths");
  const Region lengths = has_one_length ? Region{} : regions.words("sequenceLengths", {params.batch});
  const Region tables = regions.optional_words("blockTables", {params.batch, params.max_blocks});
  const Region sinks = regions.optional_words("sinks", {params.num_query_heads});
  const Region slopes = regions.optional_words("alibiSlopes", {params.num_query_heads});
  const Region masks = regions.optional_words("queryMasks", {params.batch, params.query_length});

  params.query = query.start;
  params.output = output.start;
  params.log_sum_exp = log_sum_exp.as<float>();
  params.sequence_lengths = lengths.as<const int32_t>();
  params.block_tables = tables.as<const int32_t>();
  params.sinks = sinks.as<const float>();
  params.alibi_slopes = slopes.as<const float>();
  params.query_masks = masks.as<const int32_t>();
  if (tables.memory == nullptr) require_blocks(open.view, params.batch);
  if (has_one_length) {
    const auto most = static_cast<int32_t>(std::min<int64_t>(params.capacity(), INT32_MAX));
    params.sequence_length = input.count("sequenceLengths", 0, most);
  }
  require_results_apart({&output, &log_sum_exp}, {&query, &lengths, &tables, &sinks, &slopes, &masks});
  for (const Region* written : {&output, &log_sum_exp}) require_apart_of_view(*written, open.view);

  const OpenStream stream = args.stream(2);
  const ViewMemory read(open);
  use_all(read, {&query, &output, &log_sum_exp, &lengths, &tables, &sinks, &slopes, &masks}, stream);
  run_decode_attention(params, variant, *stream.stream);
  return args.env().Undefined();
}

/// prefillAttention(view, { query, output, …, hostVariant }, stream)
Napi::Value prefill_attention(const Arguments& args) {
  const Fields input(args, args.object(1, "input"));
  const Regions regions{input};
  PrefillAttentionParams params{};
  read_common(params, input);
  params.num_query_tokens = input.count("numQueryTokens");
  const HostVariant variant = variant_of(input);
  // A copy: a getter of the input may release the view.
  const OpenView open = args.view(0);
  read_view(params, open.view);
  const int64_t num_rows = int64_t{params.num_query_tokens} * params.num_query_heads;

  const Region query = regions.elements("query", {num_rows, params.key_dim}, params.query_dtype);
  const Region output = regions.elements("output", {num_rows, params.value_dim}, params.output_dtype);
  const Region log_sum_exp = regions.optional_words("logSumExp", {num_rows});
  const Region offsets = regions.words("queryOffsets", {int64_t{params.batch} + 1});
  const Region lengths = regions.words("sequenceLengths", {params.batch});
  const Region tables = regions.optional_words("blockTables", {params.batch, params.max_blocks});
  const Region sinks = regions.optional_words("sinks", {params.num_query_heads});

  params.query = query.start;
  params.output = output.start;
  params.log_sum_exp = log_sum_exp.as<float>();
  params.query_offsets = offsets.as<const int32_t>();
  params.sequence_lengths = lengths.as<const int32_t>();
  params.block_tables = tables.as<const int32_t>();
  params.sinks = sinks.as<const float>();
  if (tables.memory == nullptr) require_blocks(open.view, params.batch);
  require_results_apart({&output, &log_sum_exp}, {&query, &offsets, &lengths, &tables, &sinks});
  for (const Region* written : {&output, &log_sum_exp}) require_apart_of_view(*written, open.view);

  const OpenStream stream = args.stream(2);
  const ViewMemory read(open);
  use_all(read, {&query, &output, &log_sum_exp, &offsets, &lengths, &tables, &sinks}, stream);
  run_prefill_attention(params, variant, *stream.stream);
  return args.env().Undefined();
}

/// mergeAttention({ parts, logSumExps, output, logSumExp, numParts, numRows, width, partDtype, outputDtype }, stream)
Napi::Value merge_attention(const Arguments& args) {
  const Fields input(args, args.object(0, "input"));
  const Regions regions{input};
  MergeAttentionParams params{};
  params.num_rows = input.whole("numRows");
  params.num_parts = input.count("numParts", 1);
  params.width = input.count("width", 1);
  params.part_dtype = input.dtype("partDtype");
  params.output_dtype = input.dtype("outputDtype");
  const Region parts = regions.elements("parts", {params.num_parts, params.num_rows, params.width}, params.part_dtype);
  const Region log_sum_exps = regions.words("logSumExps", {params.num_parts, params.num_rows});
  const Region output = regions.elements("output", {params.num_rows, params.width}, params.output_dtype);
  const Region log_sum_exp = regions.optional_words("logSumExp", {params.num_rows});
  params.parts = parts.start;
  params.log_sum_exps = log_sum_exps.as<const float>();
  params.output = output.start;
  params.log_sum_exp = log_sum_exp.as<float>();
  require_results_apart({&output, &log_sum_exp}, {&parts, &log_sum_exps});
  const OpenStream stream = args.stream(1);
  use_regions({&parts, &log_sum_exps, &output, &log_sum_exp}, stream);
  run_merge_attention(params, *stream.stream);
  return args.env().Undefined();
}

}  // namespace

void export_attention_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("decodeAttention", Napi::Function::New<guarded<decode_attention>>(env));
  exports.Set("prefillAttention", Napi::Function::New<guarded<prefill_attention>>(env));
  exports.Set("mergeAttention", Napi::Function::New<guarded<merge_attention>>(env));
}

}  // namespace kv::binding
