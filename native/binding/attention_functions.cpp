#include "binding/fields.h"
#include "binding/functions.h"
#include "kernels/decode_attention/decode_attention.h"

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

/// The counts, types and numbers of decode attention; what lies in memory comes after.
DecodeAttentionParams decode_numbers(const Fields& input) {
  DecodeAttentionParams params{};
  params.batch = input.count("batch");
  params.query_length = input.count("queryLength", 1, kMaxQueryLength);
  params.num_query_heads = input.count("numQueryHeads", 1, kMaxQueryHeads);
  params.max_blocks = input.count("maxBlocks", 1);
  params.window_tokens = input.count("windowTokens");
  params.softmax_scale = input.finite("softmaxScale");
  params.soft_cap = input.not_negative("softCap");
  params.cache_dtype = input.dtype("cacheDtype");
  params.query_dtype = input.dtype("queryDtype");
  params.output_dtype = input.dtype("outputDtype");
  return params;
}

/// decodeAttention(view, { query, output, …, hostVariant }, stream)
Napi::Value decode_attention(const Arguments& args) {
  const Fields input(args, args.object(1, "input"));
  DecodeAttentionParams params = decode_numbers(input);
  const HostVariant variant = variant_of(input);
  // A copy: a getter of the input may release the view.
  const OpenView open = args.view(0);
  const KvView& view = params.view = open.view;
  params.key_dim = head_width(view.keys, params.cache_dtype);
  params.value_dim = head_width(view.values, params.cache_dtype);
  require_heads(view, params.num_query_heads);

  const auto rows_bytes = [&](int64_t width, Dtype dtype, const char* name) {
    const int64_t bytes = element_bytes(dtype);
    return checked_product({params.batch, params.query_length, params.num_query_heads, width, bytes}, name);
  };
  const auto words = [](std::initializer_list<int64_t> counts, const char* name) {
    return checked_product(counts, name) * sizeof(int32_t);
  };
  const Region query = input.region("query", rows_bytes(params.key_dim, params.query_dtype, "query"),
                                    static_cast<size_t>(element_bytes(params.query_dtype)));
  const Region output = input.region("output", rows_bytes(params.value_dim, params.output_dtype, "output"),
                                     static_cast<size_t>(element_bytes(params.output_dtype)));
  const Region log_sum_exp = input.optional_region("logSumExp", rows_bytes(1, Dtype::fp32, "logSumExp"), sizeof(float));
  const bool has_one_length = input.is_number("sequenceLengths");
  const Region lengths =
      has_one_length ? Region{}
                     : input.region("sequenceLengths", words({params.batch}, "sequenceLengths"), sizeof(int32_t));
  const Region tables =
      input.optional_region("blockTables", words({params.batch, params.max_blocks}, "blockTables"), sizeof(int32_t));
  const Region sinks = input.optional_region("sinks", words({params.num_query_heads}, "sinks"), sizeof(float));
  const Region slopes =
      input.optional_region("alibiSlopes", words({params.num_query_heads}, "alibiSlopes"), sizeof(float));
  const Region masks =
      input.optional_region("queryMasks", words({params.batch, params.query_length}, "queryMasks"), sizeof(int32_t));

  params.query = query.start;
  params.output = output.start;
  params.log_sum_exp = log_sum_exp.as<float>();
  params.sequence_lengths = lengths.as<const int32_t>();
  params.block_tables = tables.as<const int32_t>();
  params.sinks = sinks.as<const float>();
  params.alibi_slopes = slopes.as<const float>();
  params.query_masks = masks.as<const int32_t>();
  if (tables.memory == nullptr) require_blocks(view, params.batch);
  if (has_one_length) {
    const auto most = static_cast<int32_t>(std::min<int64_t>(params.capacity(), INT32_MAX));
    params.sequence_length = input.count("sequenceLengths", 0, most);
  }
  for (const Region* written : {&output, &log_sum_exp}) {
    require_apart(*written, {&query, &lengths, &tables, &sinks, &slopes, &masks});
    require_apart_of_view(*written, view);
  }
  require_apart(output, {&log_sum_exp});

  const OpenStream stream = args.stream(2);
  const ViewMemory read(open);
  use_all(read, {&query, &output, &log_sum_exp, &lengths, &tables, &sinks, &slopes, &masks}, stream);
  run_decode_attention(params, variant, *stream.stream);
  return args.env().Undefined();
}

}  // namespace

void export_attention_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("decodeAttention", Napi::Function::New<guarded<decode_attention>>(env));
}

}  // namespace kv::binding
