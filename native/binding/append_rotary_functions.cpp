#include "binding/fields.h"
#include "binding/functions.h"
#include "kernels/append_rotary/append_rotary.h"

namespace kv::binding {
namespace {

constexpr int32_t kMaxWidth = 8192;  // a token's cosines and sines lie in the memory that a thread block shares
constexpr int32_t kMaxQueryHeads = 1 << 16;

/// The regions of one call.
struct RotaryRegions {
  Region keys, values, slots, positions, frequencies, table, query, rotated_query;
};

Region optional_elements(const Fields& input, const char* name, std::initializer_list<int64_t> counts, Dtype dtype) {
  const auto bytes = static_cast<size_t>(element_bytes(dtype));
  return input.optional_region(name, checked_product(counts, name) * bytes, bytes);
}

void read_numbers(AppendRotaryParams& params, const Fields& input, const KvView& view) {
  params.append.view = view;
  params.append.num_tokens = input.count("numTokens");
  params.cache_dtype = input.dtype("cacheDtype");
  params.query_dtype = input.dtype("queryDtype");
  params.key_dim = head_width(view.keys, params.cache_dtype);
  params.style = static_cast<RotaryStyle>(input.choice("style", {"half-split", "interleaved"}));
  params.width = input.count("width", 2, std::min(params.key_dim, kMaxWidth));
  if (params.width % 2 != 0) throw invalid_argument("width", "must be even");
  params.scaling = input.finite("scaling");
  params.num_query_heads = input.count("numQueryHeads", 0, kMaxQueryHeads);
}

RotaryRegions read_regions(const AppendRotaryParams& p, const Fields& input, int64_t num_positions) {
  const int64_t num_tokens = p.append.num_tokens;
  const int64_t num_kv_heads = p.append.view.num_kv_heads;
  const auto value_bytes = static_cast<int64_t>(p.append.view.values.head_bytes);
  const Regions regions{input};
  RotaryRegions r;
  r.keys = optional_elements(input, "keys", {num_tokens, num_kv_heads, p.key_dim}, p.cache_dtype);
  r.values = input.optional_region("values", checked_product({num_tokens, num_kv_heads, value_bytes}, "values"),
                                   static_cast<size_t>(element_bytes(p.cache_dtype)));
  if (!input.is_number("slots")) r.slots = regions.words("slots", {num_tokens});
  if (!input.is_number("positions")) r.positions = regions.words("positions", {num_tokens});
  r.frequencies = regions.optional_words("inverseFrequencies", {p.width / 2});
  r.table = regions.optional_words("cosinesAndSines", {num_positions, p.width});
  const std::initializer_list<int64_t> query = {num_tokens, p.num_query_heads, p.key_dim};
  r.query = optional_elements(input, "query", query, p.query_dtype);
  r.rotated_query = optional_elements(input, "rotatedQuery", query, p.query_dtype);
  return r;
}

void require_both_or_none(const Region& one, const Region& other) {
  if ((one.memory == nullptr) == (other.memory == nullptr)) return;
  throw invalid_argument(one.name, std::string("and ") + other.name + " must both be given, or neither");
}

void check_regions(const RotaryRegions& r, const KvView& view) {
  require_both_or_none(r.keys, r.values);
  require_both_or_none(r.query, r.rotated_query);
  if ((r.frequencies.memory == nullptr) == (r.table.memory == nullptr)) {
    throw invalid_argument("inverseFrequencies", "or cosinesAndSines must be given, and not both");
  }
  const bool is_in_place = r.query.memory != nullptr && r.query.start == r.rotated_query.start;
  if (!is_in_place) require_apart(r.rotated_query, {&r.query});
  require_apart(r.rotated_query, {&r.keys, &r.values, &r.slots, &r.positions, &r.frequencies, &r.table});
  for (const Region* each : {&r.rotated_query, &r.keys, &r.values}) require_apart_of_view(*each, view);
}

/// Sets the slots and positions, of which those from a first one on are checked here, the others by the kernel.
void place(AppendRotaryParams& params, const Fields& input, const RotaryRegions& r) {
  const int64_t num_tokens = params.append.num_tokens;
  params.append.slot_mapping = r.slots.as<const int32_t>();
  params.positions = r.positions.as<const int32_t>();
  if (r.slots.memory == nullptr) {
    params.append.first_slot = input.whole("slots");
    if (params.append.first_slot + num_tokens > params.append.view.num_slots()) {
      throw out_of_bounds("slots", static_cast<double>(params.append.first_slot), static_cast<double>(num_tokens),
                          static_cast<double>(params.append.view.num_slots()));
    }
  }
  if (r.positions.memory == nullptr) {
    params.first_position = input.whole("positions");
    if (params.first_position + num_tokens > params.num_positions) {
      throw out_of_bounds("positions", static_cast<double>(params.first_position), static_cast<double>(num_tokens),
                          static_cast<double>(params.num_positions));
    }
  }
}

/// appendRotary(view, { numTokens, cacheDtype, …, rotatedQuery }, stream)
Napi::Value append_rotary(const Arguments& args) {
  const Fields input(args, args.object(1, "input"));
  // A copy: a getter of the input may release the view.
  const OpenView open = args.view(0);
  AppendRotaryParams params{};
  read_numbers(params, input, open.view);
  const int64_t num_positions = input.whole("numPositions");
  const RotaryRegions r = read_regions(params, input, num_positions);
  check_regions(r, open.view);
  params.append.keys = r.keys.start;
  params.append.values = r.values.start;
  params.inverse_frequencies = r.frequencies.as<const float>();
  params.table = r.table.as<const float>();
  params.num_positions = r.table.memory == nullptr ? int64_t{INT32_MAX} + 1 : num_positions;
  params.query = r.query.start;
  params.rotated_query = r.rotated_query.start;
  place(params, input, r);

  const OpenStream stream = args.stream(2);
  const ViewMemory written(open);
  use_all(written, {&r.keys, &r.values, &r.slots, &r.positions, &r.frequencies, &r.table, &r.query, &r.rotated_query},
          stream);
  run_append_rotary(params, *stream.stream);
  return args.env().Undefined();
}

}  // namespace

void export_append_rotary_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("appendRotary", Napi::Function::New<guarded<append_rotary>>(env));
}

}  // namespace kv::binding
