#include <algorithm>
#include <utility>
#include <vector>

#include "binding/fields.h"
#include "binding/functions.h"
#include "kernels/append/append.h"
#include "kernels/copy_blocks/copy_blocks.h"

namespace kv::binding {
namespace {

struct PlaneField {
  KvPlane plane;
  std::shared_ptr<Memory> memory;
};

/// One of the two planes of a view: `{ memory, offsetBytes, blockStrideBytes, … }`, checked to lie in its memory.
PlaneField plane_field(const Fields& object, const char* name, const KvView& view) {
  const Fields plane = object.object(name);
  const auto memory = plane.memory("memory", name);
  const int64_t offset_bytes = plane.whole("offsetBytes");
  KvPlane read{.base = memory->address() + offset_bytes,
               .block_stride_bytes = plane.whole("blockStrideBytes"),
               .token_stride_bytes = plane.whole("tokenStrideBytes"),
               .head_stride_bytes = plane.whole("headStrideBytes"),
               .head_bytes = plane.count("headBytes", 1)};
  // As doubles: each factor is below 2^53, and a product too large for 64 bits must not wrap around.
  const double end_bytes =
      static_cast<double>(view.num_blocks - 1) * static_cast<double>(read.block_stride_bytes) +
      static_cast<double>(view.tokens_per_block - 1) * static_cast<double>(read.token_stride_bytes) +
      static_cast<double>(view.num_kv_heads - 1) * static_cast<double>(read.head_stride_bytes) + read.head_bytes;
  const auto size_bytes = static_cast<double>(plane.whole("sizeBytes", 1));
  checked_range(*memory, offset_bytes, static_cast<size_t>(size_bytes), name);
  if (end_bytes > size_bytes) throw out_of_bounds(name, 0, end_bytes, size_bytes);
  return {read, memory};
}

/// createView({ keys, values, numBlocks, tokensPerBlock, numKvHeads })
Napi::Value create_view(const Arguments& args) {
  const Fields object(args, args.object(0, "view"));
  KvView view{};
  view.num_blocks = object.count("numBlocks", 1);
  view.tokens_per_block = object.count("tokensPerBlock", 1);
  view.num_kv_heads = object.count("numKvHeads", 1);
  const PlaneField keys = plane_field(object, "keys", view);
  const PlaneField values = plane_field(object, "values", view);
  view.keys = keys.plane;
  view.values = values.plane;
  return Napi::Number::New(args.env(), args.handles().insert(OpenView{keys.memory, values.memory, view}));
}

/// append(view, keys, keysOffsetBytes, values, valuesOffsetBytes, slotMapping | null, slotMappingOffsetBytes,
/// firstSlot, numTokens, stream)
Napi::Value append(const Arguments& args) {
  const OpenView& open = args.view(0);
  const auto& keys = args.memory(1, "keys");
  const auto& values = args.memory(3, "values");
  const std::shared_ptr<Memory> slots = args.is_null(5) ? nullptr : args.memory(5, "slotMapping");
  const int64_t slots_offset_bytes = args.whole(6, "slotMappingOffsetBytes");
  const int32_t num_tokens = args.count(8, "numTokens");
  const auto bytes_of = [&](const KvPlane& plane) {
    // Each factor is below 2^31: the product of all three can be too large for 64 bits.
    const int64_t token_bytes = int64_t{open.view.num_kv_heads} * plane.head_bytes;
    if (num_tokens > INT64_MAX / token_bytes) return SIZE_MAX;
    return static_cast<size_t>(num_tokens * token_bytes);
  };
  AppendParams params{
      .view = open.view,
      .keys = checked_range(*keys, args.whole(2, "keysOffsetBytes"), bytes_of(open.view.keys), "keys"),
      .values = checked_range(*values, args.whole(4, "valuesOffsetBytes"), bytes_of(open.view.values), "values"),
      .slot_mapping = nullptr,
      .first_slot = args.whole(7, "firstSlot"),
      .num_tokens = num_tokens};
  if (slots != nullptr) {
    const size_t bytes = static_cast<size_t>(num_tokens) * sizeof(int32_t);
    const std::byte* start = checked_range(*slots, slots_offset_bytes, bytes, "slotMapping");
    if (reinterpret_cast<uintptr_t>(start) % alignof(int32_t) != 0) {
      throw invalid_argument("slotMapping", "must lie at a multiple of 4 bytes");
    }
    params.slot_mapping = reinterpret_cast<const int32_t*>(start);
  } else if (params.first_slot + num_tokens > open.view.num_slots()) {
    throw out_of_bounds("slots", static_cast<double>(params.first_slot), num_tokens,
                        static_cast<double>(open.view.num_slots()));
  }
  const OpenStream& stream = args.stream(9);
  const ViewMemory written(open);
  for (Memory* memory : {written.keys.get(), written.values.get(), keys.get(), values.get(), slots.get()}) {
    if (memory != nullptr) use_checked(*memory, stream, "append");
  }
  run_append(params, *stream.stream);
  return args.env().Undefined();
}

/// Copies may run in any order, so none may see what another writes.
void require_independent(std::span<const BlockPair> pairs) {
  std::vector<int32_t> targets(pairs.size());
  std::transform(pairs.begin(), pairs.end(), targets.begin(), [](const BlockPair& pair) { return pair.to; });
  std::sort(targets.begin(), targets.end());
  if (std::adjacent_find(targets.begin(), targets.end()) != targets.end()) {
    throw invalid_argument("pairs", "write a block twice");
  }
  for (const BlockPair& pair : pairs) {
    if (std::binary_search(targets.begin(), targets.end(), pair.from)) {
      throw invalid_argument("pairs", "read block " + std::to_string(pair.from) + ", which they also write");
    }
  }
}

/// copyBlocks(view, pairs: Int32Array of from, to, from, to, …, stream)
Napi::Value copy_blocks(const Arguments& args) {
  const OpenView& open = args.view(0);
  const auto numbers = args.int32_array(1, "pairs");
  if (numbers.size() % 2 != 0) throw invalid_argument("pairs", "must have an even length: from, to, from, to, …");
  std::vector<BlockPair> pairs(numbers.size() / 2);
  for (size_t i = 0; i < pairs.size(); ++i) pairs[i] = {numbers[2 * i], numbers[2 * i + 1]};
  for (const int32_t block : numbers) {
    if (block >= 0 && block < open.view.num_blocks) continue;
    throw invalid_argument("pairs", "name block " + std::to_string(block) + "; the view has blocks 0 to " +
                                        std::to_string(open.view.num_blocks - 1));
  }
  require_independent(pairs);
  const OpenStream& stream = args.stream(2);
  const ViewMemory copied(open);
  use_checked(*copied.keys, stream, "view");
  use_checked(*copied.values, stream, "view");
  run_copy_blocks(open.view, pairs, stream.backend, stream.stream);
  return args.env().Undefined();
}

}  // namespace

void export_kernel_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("createView", Napi::Function::New<guarded<create_view>>(env));
  exports.Set("append", Napi::Function::New<guarded<append>>(env));
  exports.Set("copyBlocks", Napi::Function::New<guarded<copy_blocks>>(env));
}

}  // namespace kv::binding
