#include <utility>

#include "binding/arguments.h"
#include "binding/functions.h"

namespace kv::binding {
namespace {

MemoryKind kind_of(const std::string& kind) {
  if (kind == "pool") return MemoryKind::pool;
  if (kind == "plain") return MemoryKind::plain;
  if (kind == "pinned") return MemoryKind::pinned;
  throw invalid_argument("kind", "must be pool, plain or pinned");
}

/// allocate(device, stream, bytes, alignment, kind, zero)
Napi::Value allocate(const Arguments& args) {
  const OpenDevice device = args.device(0);
  const OpenStream& on = args.uncaptured_stream(1, "allocate");
  if (on.backend->properties().name != device.backend->properties().name) {
    throw invalid_argument("stream", "is of " + on.backend->properties().name + ", the memory is to be of " +
                                         device.backend->properties().name);
  }
  const StreamPtr stream = on.stream;
  const auto bytes = static_cast<size_t>(args.whole(2, "sizeBytes", 1));
  const auto alignment = static_cast<size_t>(args.whole(3, "alignment", 1));
  if ((alignment & (alignment - 1)) != 0) throw invalid_argument("alignment", "must be a power of two");
  auto memory = std::make_shared<Memory>(device.backend, stream, bytes, alignment, kind_of(args.text(4, "kind")));
  if (args.flag(5, "zero")) stream->fill(memory->address(), 0, bytes);
  return Napi::Number::New(args.env(), args.handles().insert(OpenMemory{std::move(memory), nullptr}));
}

/// addressOf(memory)
Napi::Value address_of(const Arguments& args) {
  return Napi::BigInt::New(args.env(), reinterpret_cast<uint64_t>(args.memory(0, "memory")->address()));
}

/// isResident(memory)
Napi::Value is_resident(const Arguments& args) {
  const Memory& memory = *args.memory(0, "memory");
  return Napi::Boolean::New(args.env(), memory.backend().is_resident(memory.address(), memory.bytes(), memory.kind()));
}

/// adjustExternalMemory(deltaBytes)
Napi::Value adjust_external_memory(const Arguments& args) {
  // V8 ends the process for a change that it takes for an error, such as more given back than it was told of.
  constexpr int64_t limit = int64_t{1} << 53;
  const int64_t delta = args.whole(0, "deltaBytes", -limit);
  int64_t& told = args.environment().external_bytes;
  if (told + delta < 0 || told + delta > limit) {
    throw invalid_argument(
        "deltaBytes", "would make the " + std::to_string(told) + " bytes told so far " + std::to_string(told + delta));
  }
  Napi::MemoryManagement::AdjustExternalMemory(args.env(), delta);
  told += delta;
  return args.env().Undefined();
}

/// pinnedBuffer(memory): an ArrayBuffer over it
Napi::Value pinned_buffer(const Arguments& args) {
  auto& open = args.handles().get<OpenMemory>(args.number(0, "memory"), "memory");
  if (open.memory->kind() != MemoryKind::pinned) throw invalid_argument("memory", "is not pinned");
  if (open.lease != nullptr) throw invalid_argument("memory", "has an ArrayBuffer already");
  auto lease = std::make_shared<Lease>(Lease{open.memory});
  auto held = std::make_unique<std::shared_ptr<Lease>>(lease);
  const auto drop = [](Napi::Env, void*, std::shared_ptr<Lease>* each) { delete each; };
  const auto buffer =
      Napi::ArrayBuffer::New(args.env(), open.memory->address(), open.memory->bytes(), drop, held.get());
  held.release();
  open.lease = std::move(lease);
  return buffer;
}

/// releasePinned(memory, arrayBuffer): detaches the ArrayBuffer first, so that no view of it can reach the memory
Napi::Value release_pinned(const Arguments& args) {
  const double handle = args.number(0, "memory");
  const auto& open = args.handles().get<OpenMemory>(handle, "memory");
  auto buffer = args.array_buffer(1, "buffer");
  // One that JavaScript transferred elsewhere keeps the memory until the new one is collected.
  if (!buffer.IsDetached()) {
    if (open.lease == nullptr || buffer.Data() != open.memory->address()) {
      throw invalid_argument("buffer", "is not the ArrayBuffer of this memory");
    }
    buffer.Detach();
    open.lease->memory.reset();
  }
  args.handles().release(handle);
  return args.env().Undefined();
}

/// fill(memory, offsetBytes, lengthBytes, value, stream)
Napi::Value fill(const Arguments& args) {
  const auto& memory = args.memory(0, "memory");
  const size_t length_bytes = args.bytes(2, "lengthBytes");
  std::byte* address = checked_range(*memory, args.whole(1, "offsetBytes"), length_bytes, "memory");
  const int64_t value = args.whole(3, "value");
  if (value > 255) throw invalid_argument("value", "must be a byte, 0 to 255");
  const OpenStream& stream = args.stream(4);
  if (length_bytes == 0) return args.env().Undefined();
  use_checked(*memory, stream, "memory");
  stream.stream->fill(address, static_cast<uint8_t>(value), length_bytes);
  return args.env().Undefined();
}

/// copy(to, toOffsetBytes, from, fromOffsetBytes, lengthBytes, stream)
Napi::Value copy(const Arguments& args) {
  const auto& to = args.memory(0, "to");
  const auto& from = args.memory(2, "from");
  const size_t length_bytes = args.bytes(4, "lengthBytes");
  std::byte* to_address = checked_range(*to, args.whole(1, "toOffsetBytes"), length_bytes, "to");
  const std::byte* from_address = checked_range(*from, args.whole(3, "fromOffsetBytes"), length_bytes, "from");
  const OpenStream& stream = args.stream(5);
  if (length_bytes == 0) return args.env().Undefined();
  if (to_address < from_address + length_bytes && from_address < to_address + length_bytes) {
    throw invalid_argument("to", "overlaps the bytes that are copied from");
  }
  use_to_copy(*to, stream, "to");
  use_to_copy(*from, stream, "from");
  stream.stream->copy(to_address, from_address, length_bytes);
  return args.env().Undefined();
}

/// upload(memory, offsetBytes, source, stream): the source may change as soon as this returns
Napi::Value upload(const Arguments& args) {
  const auto& memory = args.memory(0, "memory");
  const auto source = args.view_bytes(2, "source");
  std::byte* address = checked_range(*memory, args.whole(1, "offsetBytes"), source.size(), "memory");
  const OpenStream& stream = args.uncaptured_stream(3, "upload");
  if (source.empty()) return args.env().Undefined();
  use_checked(*memory, stream, "memory");
  stream.stream->upload(address, source.data(), source.size());
  return args.env().Undefined();
}

/// downloadSync(memory, offsetBytes, target, stream)
Napi::Value download_sync(const Arguments& args) {
  const auto& memory = args.memory(0, "memory");
  const auto target = args.view_bytes(2, "target");
  const std::byte* address = checked_range(*memory, args.whole(1, "offsetBytes"), target.size(), "memory");
  const OpenStream& stream = args.uncaptured_stream(3, "copyToHost");
  if (target.empty()) return args.env().Undefined();
  use_checked(*memory, stream, "memory");
  stream.stream->download(target.data(), address, target.size());
  return args.env().Undefined();
}

}  // namespace

void export_memory_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("allocate", Napi::Function::New<guarded<allocate>>(env));
  exports.Set("addressOf", Napi::Function::New<guarded<address_of>>(env));
  exports.Set("isResident", Napi::Function::New<guarded<is_resident>>(env));
  exports.Set("adjustExternalMemory", Napi::Function::New<guarded<adjust_external_memory>>(env));
  exports.Set("pinnedBuffer", Napi::Function::New<guarded<pinned_buffer>>(env));
  exports.Set("releasePinned", Napi::Function::New<guarded<release_pinned>>(env));
  exports.Set("fill", Napi::Function::New<guarded<fill>>(env));
  exports.Set("copy", Napi::Function::New<guarded<copy>>(env));
  exports.Set("upload", Napi::Function::New<guarded<upload>>(env));
  exports.Set("downloadSync", Napi::Function::New<guarded<download_sync>>(env));
}

}  // namespace kv::binding
