#include <algorithm>
#include <utility>
#include <vector>

#include "binding/fields.h"
#include "binding/functions.h"
#include "kernels/append/append.h"
#include "kernels/copy_blocks/copy_blocks.h"
#include "kernels/gather_blocks/gather_blocks.h"
#include "kernels/read_memory/read_memory.h"

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

/// append(view, keys, keysOffsetBytes, values, valuesOffsetBytes, slots | null, slotsOffsetBytes,
/// firstSlot, numTokens, stream)
Napi::Value append(const Arguments& args) {
  const OpenView& open = args.view(0);
  const auto& keys = args.memory(1, "keys");
  const auto& values = args.memory(3, "values");
  const std::shared_ptr<Memory> slots = args.is_null(5) ? nullptr : args.memory(5, "slots");
  const int64_t slots_offset_bytes = args.whole(6, "slotsOffsetBytes");
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
      .first_slot = args.whole(7, "slots"),
      .num_tokens = num_tokens};
  if (slots != nullptr) {
    const size_t bytes = static_cast<size_t>(num_tokens) * sizeof(int32_t);
    const std::byte* start = checked_range(*slots, slots_offset_bytes, bytes, "slots");
    if (reinterpret_cast<uintptr_t>(start) % alignof(int32_t) != 0) {
      throw invalid_argument("slots", "must lie at a multiple of 4 bytes");
    }
    params.slot_mapping = reinterpret_cast<const int32_t*>(start);
  } else if (params.first_slot + num_tokens > open.view.num_slots()) {
    throw out_of_bounds("slots", static_cast<double>(params.first_slot), num_tokens,
                        static_cast<double>(open.view.num_slots()));
  }
  const OpenStream& stream = args.stream(9);
  const ViewMemory written(open);
  use_checked(*written.keys, stream, "view");
  use_checked(*written.values, stream, "view");
  use_checked(*keys, stream, "keys");
  use_checked(*values, stream, "values");
  if (slots != nullptr) use_checked(*slots, stream, "slots");
  run_append(params, *stream.stream);
  return args.env().Undefined();
}

/// The blocks that a call writes, for as long as it checks them.
class WrittenBlocks {
 public:
  /// Every `step`th of the numbers. A bit for each block of the view, or a sorted list where the bits would be many
  /// more than the numbers.
  WrittenBlocks(std::span<const int32_t> numbers, size_t step, int64_t num_blocks) {
    const size_t num_words = static_cast<size_t>(num_blocks) / 64 + 1;
    if (num_words > 16 * numbers.size()) {
      sort(numbers, step);
      return;
    }
    bits_.resize(num_words);
    for (size_t i = step - 1; i < numbers.size(); i += step) {
      const auto block = static_cast<uint32_t>(numbers[i]);
      uint64_t& word = bits_[block / 64];
      const uint64_t bit = uint64_t{1} << (block % 64);
      has_twice_ |= (word & bit) != 0;
      word |= bit;
    }
  }

  bool has_twice() const noexcept { return has_twice_; }

  bool contains(int32_t block) const {
    if (bits_.empty()) return std::binary_search(sorted_.begin(), sorted_.end(), block);
    const auto place = static_cast<uint32_t>(block);
    return (bits_[place / 64] >> (place % 64) & 1) != 0;
  }

 private:
  void sort(std::span<const int32_t> numbers, size_t step) {
    for (size_t i = step - 1; i < numbers.size(); i += step) sorted_.push_back(numbers[i]);
    std::sort(sorted_.begin(), sorted_.end());
    has_twice_ = std::adjacent_find(sorted_.begin(), sorted_.end()) != sorted_.end();
  }

  std::vector<uint64_t> bits_;
  std::vector<int32_t> sorted_;
  bool has_twice_ = false;
};

void require_blocks(std::span<const int32_t> blocks, const KvView& view, const char* argument) {
  const auto is_outside = [&](int32_t block) { return block < 0 || block >= view.num_blocks; };
  bool has_outside = false;  // without a way out of the loop, so that the compiler makes vectors of it
  for (const int32_t block : blocks) has_outside |= is_outside(block);
  if (!has_outside) return;
  const int32_t found = *std::find_if(blocks.begin(), blocks.end(), is_outside);
  throw invalid_argument(argument, "name block " + std::to_string(found) + "; the view has blocks 0 to " +
                                       std::to_string(view.num_blocks - 1));
}

/// Copies may run in any order, so none may see what another writes. `numbers`: from, to, from, to, …
void require_independent(std::span<const int32_t> numbers, const KvView& view) {
  const WrittenBlocks written(numbers, 2, view.num_blocks);
  if (written.has_twice()) throw invalid_argument("pairs", "write a block twice");
  for (size_t i = 0; i < numbers.size(); i += 2) {
    if (written.contains(numbers[i])) {
      throw invalid_argument("pairs", "read block " + std::to_string(numbers[i]) + ", which they also write");
    }
  }
}

/// copyBlocks(view, pairs: Int32Array of from, to, from, to, …, stream)
Napi::Value copy_blocks(const Arguments& args) {
  const OpenView& open = args.view(0);
  const auto numbers = args.int32_array(1, "pairs");
  if (numbers.size() % 2 != 0) throw invalid_argument("pairs", "must have an even length: from, to, from, to, …");
  static_assert(sizeof(BlockPair) == 2 * sizeof(int32_t) && alignof(BlockPair) == alignof(int32_t));
  const std::span pairs(reinterpret_cast<const BlockPair*>(numbers.data()), numbers.size() / 2);
  require_blocks(numbers, open.view, "pairs");
  require_independent(numbers, open.view);
  const OpenStream& stream = args.uncaptured_stream(2, "copyBlocks");
  const ViewMemory copied(open);
  use_checked(*copied.keys, stream, "view");
  use_checked(*copied.values, stream, "view");
  run_copy_blocks(open.view, pairs, stream.backend, stream.stream);
  return args.env().Undefined();
}

/// The arguments of gatherBlocks and scatterBlocks: (view, blocks: Int32Array, packed, packedOffsetBytes, stream)
Napi::Value gather_or_scatter(const Arguments& args, bool is_scatter) {
  const OpenView& open = args.view(0);
  const auto blocks = args.int32_array(1, "blocks");
  require_blocks(blocks, open.view, "blocks");
  if (is_scatter && WrittenBlocks(blocks, 1, open.view.num_blocks).has_twice()) {
    throw invalid_argument("blocks", "name a block twice");
  }
  const char* name = is_scatter ? "from" : "to";
  const auto& memory = args.memory(2, name);
  const int64_t offset_bytes = args.whole(3, "packedOffsetBytes");
  const auto num_blocks = static_cast<int64_t>(blocks.size());
  const size_t bytes = checked_product({num_blocks, packed_block_bytes(open.view)}, name);
  const Region packed{name, memory, checked_range(*memory, offset_bytes, bytes, name), bytes};
  require_apart_of_view(packed, open.view);
  const OpenStream& stream = args.uncaptured_stream(4, is_scatter ? "scatterBlocks" : "gatherBlocks");
  const ViewMemory copied(open);
  use_all(copied, {&packed}, stream);
  run_gather_blocks({open.view, blocks, packed.start, is_scatter, memory->kind() == MemoryKind::pinned}, stream.backend,
                    stream.stream);
  return args.env().Undefined();
}

Napi::Value gather_blocks(const Arguments& args) {
  return gather_or_scatter(args, false);
}

Napi::Value scatter_blocks(const Arguments& args) {
  return gather_or_scatter(args, true);
}

/// readMemory(memory, offsetBytes, lengthBytes, word, found, foundOffsetBytes, stream)
Napi::Value read_memory(const Arguments& args) {
  const auto& memory = args.memory(0, "memory");
  const size_t length_bytes = args.bytes(2, "lengthBytes");
  const std::byte* start = checked_range(*memory, args.whole(1, "offsetBytes"), length_bytes, "memory");
  constexpr size_t vector_bytes = kWordsPerVector * sizeof(uint32_t);
  if (reinterpret_cast<uintptr_t>(start) % vector_bytes != 0 || length_bytes % vector_bytes != 0) {
    throw invalid_argument("memory", "must be a multiple of 16 bytes at a multiple of 16 bytes");
  }
  const int64_t wanted = args.whole(3, "word");
  if (wanted > UINT32_MAX) throw invalid_argument("word", "must be less than 4294967296");
  const auto& found = args.memory(4, "found");
  std::byte* flag = checked_range(*found, args.whole(5, "foundOffsetBytes"), sizeof(uint32_t), "found");
  if (reinterpret_cast<uintptr_t>(flag) % alignof(uint32_t) != 0) {
    throw invalid_argument("found", "must lie at a multiple of 4 bytes");
  }
  const OpenStream& stream = args.stream(6);
  use_checked(*memory, stream, "memory");
  use_checked(*found, stream, "found");
  run_read_memory({.words = reinterpret_cast<const uint32_t*>(start),
                   .num_vectors = static_cast<int64_t>(length_bytes / vector_bytes),
                   .wanted = static_cast<uint32_t>(wanted),
                   .found = reinterpret_cast<uint32_t*>(flag)},
                  *stream.stream);
  return args.env().Undefined();
}

}  // namespace

void export_kernel_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("createView", Napi::Function::New<guarded<create_view>>(env));
  exports.Set("append", Napi::Function::New<guarded<append>>(env));
  exports.Set("copyBlocks", Napi::Function::New<guarded<copy_blocks>>(env));
  exports.Set("gatherBlocks", Napi::Function::New<guarded<gather_blocks>>(env));
  exports.Set("scatterBlocks", Napi::Function::New<guarded<scatter_blocks>>(env));
  exports.Set("readMemory", Napi::Function::New<guarded<read_memory>>(env));
}

}  // namespace kv::binding
