#include <cstring>

#include "kernels/append/append.h"
#include "kernels/append_rotary/append_rotary.h"
#include "kernels/copy_blocks/copy_blocks.h"
#include "kernels/gather_blocks/gather_blocks.h"
#include "test/fake_cuda/call.h"
#include "test/fake_cuda/functions.h"
#include "test/fake_cuda/memory.h"

namespace fake {
namespace {

constexpr uint32_t kFatbinMagic = 0xBA55ED50;

/// A kernel stands for its reference on the host.
struct Kernel {
  std::string name;
  size_t params_bytes;
  void (*run)(const void* params);
};

void require_usable(const void* address) {
  fake::require_usable(reinterpret_cast<DevicePtr>(address), 1);
}

void run_append(const void* params) {
  const auto& append = *static_cast<const kv::AppendParams*>(params);
  for (const void* each : {append.view.keys.base, append.view.values.base}) require_usable(each);
  for (const void* each : {append.keys, append.values}) require_usable(each);
  if (append.slot_mapping != nullptr) require_usable(append.slot_mapping);
  kv::append_cpu(append);
}

void run_append_rotary(const void* params) {
  const auto& rotary = *static_cast<const kv::AppendRotaryParams*>(params);
  const auto& append = rotary.append;
  for (const void* each : {append.view.keys.base, append.view.values.base}) require_usable(each);
  for (const void* each : {append.keys, append.values, rotary.query}) {
    if (each != nullptr) require_usable(each);
  }
  if (rotary.positions != nullptr) require_usable(rotary.positions);
  if (rotary.table != nullptr) require_usable(rotary.table);
  kv::append_rotary_cpu(rotary);
}

void run_copy_blocks(const void* params) {
  const auto& copy = *static_cast<const kv::CopyBlocksParams*>(params);
  for (const void* each : {copy.view.keys.base, copy.view.values.base}) require_usable(each);
  if (copy.pairs != nullptr) require_usable(copy.pairs);
  kv::copy_blocks_cpu(copy);
}

void run_gather_blocks(const void* params) {
  const auto& gather = *static_cast<const kv::GatherBlocksParams*>(params);
  for (const std::byte* each : {gather.view.keys.base, gather.view.values.base, gather.packed}) require_usable(each);
  if (gather.blocks != nullptr) require_usable(gather.blocks);
  kv::gather_blocks_cpu(gather);
}

const std::vector<Kernel>& kernels() {
  static const auto all = [] {
    std::vector<Kernel> made;
    for (const char* word_bytes : {"16", "8", "4", "2", "1"}) {
      made.push_back({std::string("append_") + word_bytes, sizeof(kv::AppendParams), run_append});
      made.push_back({std::string("copy_blocks_") + word_bytes, sizeof(kv::CopyBlocksParams), run_copy_blocks});
      made.push_back({std::string("gather_blocks_") + word_bytes, sizeof(kv::GatherBlocksParams), run_gather_blocks});
    }
    for (const char* word_bytes : {"16", "8", "1"}) {
      made.push_back({std::string("append_rotary_") + word_bytes, sizeof(kv::AppendRotaryParams), run_append_rotary});
    }
    return made;
  }();
  return all;
}

}  // namespace

Result ModuleLoadData(Module* module, const void* image) {
  return call_in_context([&](Lock&) {
    uint32_t magic = 0;
    std::memcpy(&magic, image, sizeof magic);
    // As a GPU that is newer than the fatbin: the PTX must serve.
    if (magic == kFatbinMagic) return kNoBinaryForGpu;
    return make(module, state().modules, Thing{current_device});
  });
}

Result ModuleUnload(Module module) {
  return give_back(
      [&](Lock&) { return destroy(module, state().modules, find(state().modules, module, "a module").device); });
}

Result ModuleGetFunction(Function* function, Module module, const char* name) {
  return call_in_context([&](Lock&) {
    find(state().modules, module, "a module");
    for (const Kernel& kernel : kernels()) {
      if (kernel.name != name) continue;
      *function = reinterpret_cast<Function>(const_cast<Kernel*>(&kernel));
      return kSuccess;
    }
    return kNotFound;
  });
}

Result TensorMapEncodeTiled(void*, int, unsigned, void*, const uint64_t*, const uint64_t*, const uint32_t*,
                            const uint32_t*, int, int, int, int) {
  return call([&](Lock&) { return kSuccess; });
}

Result FuncGetAttribute(int* value, int, Function) {
  return call_in_context([&](Lock&) {
    *value = 90;
    return kSuccess;
  });
}

Result FuncSetAttribute(Function, int, int) {
  return call_in_context([&](Lock&) { return kSuccess; });
}

Result LaunchKernelEx(const LaunchConfig* config, Function function, void** params, void**) {
  return call_in_context([&](Lock&) {
    for (unsigned i = 0; i < config->num_attributes; ++i) {
      const LaunchAttribute& attribute = config->attributes[i];
      if (attribute.id != kProgrammaticStreamSerialization || attribute.value != 1) return kInvalidValue;
    }
    const auto& kernel = *reinterpret_cast<const Kernel*>(function);
    // Whole words of the widest alignment, as the driver copies parameters at the call.
    std::vector<std::max_align_t> kept((kernel.params_bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
    std::memcpy(kept.data(), params[0], kernel.params_bytes);
    give(config->stream, [run = kernel.run, kept = std::move(kept)] { run(kept.data()); });
    return kSuccess;
  });
}

}  // namespace fake
