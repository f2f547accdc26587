#include "memory/cuda_stream.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "kernels/embedded.h"
#include "memory/capture.h"
#include "memory/cuda_device.h"
#include "memory/cuda_recording.h"
#include "memory/cuda_staging.h"
#include "memory/error.h"

namespace kv {
namespace {

// What a kernel may have without being allowed more.
constexpr unsigned kStaticSharedBytes = 48 * 1024;
// From sm_90 on a kernel can wait for the one before by itself; streams capture it so from CUDA 12.3 on.
constexpr int kWaitingPtxVersion = 90;
constexpr int kWaitingDriverVersion = 12030;

/// Whether memory of the host is of a kind that the driver does not know.
bool is_pageable_memory(const cuda::Driver& driver, const void* memory) {
  // The plural call: the singular one fails for memory that the driver does not know, and tools report that.
  unsigned memory_type = 0;
  void* values[] = {&memory_type};
  driver.check(driver.PointerGetAttributes(1, &cuda::kPointerMemoryType, values, cuda::device_ptr(memory)),
               "cuPointerGetAttributes");
  return memory_type == 0;
}

CudaEvent& as_cuda(Event& event, const char* argument) {
  auto* cuda_event = dynamic_cast<CudaEvent*>(&event);
  if (cuda_event == nullptr) throw invalid_argument(argument, "is an event of the host");
  return *cuda_event;
}

}  // namespace

CudaContext::CudaContext(int ordinal) : driver_(cuda::driver()), properties_(cuda_device_properties(ordinal)) {
  driver_.check(driver_.DeviceGet(&device_, ordinal), "cuDeviceGet");
  driver_.check(driver_.DevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
}

CudaContext::~CudaContext() {
  try_make_current();
  if (module_ != nullptr) driver_.ModuleUnload(module_);
  driver_.DevicePrimaryCtxRelease(device_);
}

void CudaContext::make_current() const {
  // Every launch comes here: asking takes a tenth of setting, and others on this thread may have set theirs.
  cuda::Context current = nullptr;
  driver_.check(driver_.CtxGetCurrent(&current), "cuCtxGetCurrent");
  if (current != context_) driver_.check(driver_.CtxSetCurrent(context_), "cuCtxSetCurrent");
}

CudaContext::Kernel CudaContext::kernel(const char* name, unsigned shared_bytes) {
  const std::scoped_lock lock(mutex_);
  // By address first: the names are literals, and this is on the way of every launch.
  auto found = std::find_if(kernels_.begin(), kernels_.end(), [&](const Kernel& each) { return each.name == name; });
  if (found == kernels_.end()) found = kernels_.insert(found, load(name));
  if (shared_bytes > found->shared_bytes) {
    driver_.check(
        driver_.FuncSetAttribute(found->function, cuda::kMaxDynamicSharedBytes, static_cast<int>(shared_bytes)),
        "cuFuncSetAttribute");
    found->shared_bytes = shared_bytes;
  }
  return *found;
}

CudaContext::Kernel CudaContext::load(const char* name) {
  if (module_ == nullptr) {
    // The fatbin has machine code for the GPUs known when it was built; the PTX serves others, and older drivers.
    cuda::Result result = kernels::fatbin() == nullptr ? -1 : driver_.ModuleLoadData(&module_, kernels::fatbin());
    if (result != cuda::kSuccess) {
      module_ = nullptr;
      driver_.check(driver_.ModuleLoadData(&module_, kernels::ptx()), "cuModuleLoadData");
    }
  }
  cuda::Function function = nullptr;
  driver_.check(driver_.ModuleGetFunction(&function, module_, name), "cuModuleGetFunction");
  int ptx_version = 0;
  driver_.check(driver_.FuncGetAttribute(&ptx_version, cuda::kPtxVersion, function), "cuFuncGetAttribute");
  const bool can_wait = ptx_version >= kWaitingPtxVersion && properties_.driver_version >= kWaitingDriverVersion;
  return {name, function, can_wait, kStaticSharedBytes};
}

CudaEvent::CudaEvent(std::shared_ptr<CudaContext> context, unsigned flags) : context_(std::move(context)) {
  context_->make_current();
  context_->driver().check(context_->driver().EventCreate(&handle_, flags), "cuEventCreate");
}

CudaEvent::~CudaEvent() {
  context_->try_make_current();
  context_->driver().EventDestroy(handle_);
}

bool CudaEvent::is_done() {
  const cuda::Result result = context_->driver().EventQuery(handle_);
  if (result == cuda::kNotReady) return false;
  context_->driver().check(result, "cuEventQuery");
  return true;
}

void CudaEvent::synchronize() {
  context_->make_current();
  context_->driver().check(context_->driver().EventSynchronize(handle_), "cuEventSynchronize");
}

double CudaEvent::elapsed_ms_since(Event& earlier) {
  float milliseconds = 0;
  const cuda::EventHandle start = as_cuda(earlier, "earlier").handle();
  context_->driver().check(context_->driver().EventElapsedTime(&milliseconds, start, handle_), "cuEventElapsedTime");
  return milliseconds;
}

CudaStream::CudaStream(std::shared_ptr<CudaContext> context) : context_(std::move(context)) {
  context_->make_current();
  context_->driver().check(context_->driver().StreamCreate(&handle_, cuda::kStreamNonBlocking), "cuStreamCreate");
}

CudaStream::~CudaStream() {
  {
    const std::scoped_lock lock(waiter_->mutex);
    waiter_->is_closed = true;
  }
  waiter_->changed.notify_all();
  if (thread_.get_id() == std::this_thread::get_id()) {
    thread_.detach();
  } else if (thread_.joinable()) {
    thread_.join();
  }
  staging_.reset();
  context_->try_make_current();
  // The driver waits for the work that uses it.
  for (const auto* memory : {&workspaces_, &counters_}) {
    for (const cuda::DevicePtr each : memory->all) context_->driver().MemFree(each);
  }
  context_->driver().StreamDestroy(handle_);
}

void CudaStream::fill(void* to, uint8_t value, size_t bytes) {
  context_->make_current();
  context_->driver().check(context_->driver().MemsetD8Async(cuda::device_ptr(to), value, bytes, work_handle()),
                           "cuMemsetD8Async");
}

void CudaStream::copy(void* to, const void* from, size_t bytes) {
  context_->make_current();
  const auto& driver = context_->driver();
  driver.check(driver.MemcpyAsync(cuda::device_ptr(to), cuda::device_ptr(from), bytes, work_handle()), "cuMemcpyAsync");
}

void CudaStream::upload(void* to, const void* from, size_t bytes) {
  context_->make_current();
  const auto& driver = context_->driver();
  const bool is_pageable = is_pageable_memory(driver, from);
  if (is_pageable && bytes >= CudaStaging::kLeastBytes) {
    return staging().upload(static_cast<std::byte*>(to), static_cast<const std::byte*>(from), bytes);
  }
  driver.check(driver.MemcpyHtoDAsync(cuda::device_ptr(to), from, bytes, handle_), "cuMemcpyHtoDAsync");
  // The driver stages pageable memory before the call returns; pinned memory is read later.
  if (!is_pageable) synchronize();
}

void CudaStream::download(void* to, const void* from, size_t bytes) {
  context_->make_current();
  const auto& driver = context_->driver();
  if (bytes >= CudaStaging::kLeastBytes && is_pageable_memory(driver, to)) {
    return staging().download(static_cast<std::byte*>(to), static_cast<const std::byte*>(from), bytes);
  }
  driver.check(driver.MemcpyDtoHAsync(to, cuda::device_ptr(from), bytes, handle_), "cuMemcpyDtoHAsync");
  synchronize();
}

CudaStaging& CudaStream::staging() {
  if (staging_ == nullptr) staging_ = std::make_unique<CudaStaging>(context_, handle_);
  return *staging_;
}

void CudaStream::launch(const KernelCall& call) {
  context_->make_current();
  void* params[] = {const_cast<void*>(call.params)};
  const auto& blocks = call.num_thread_blocks;
  const CudaContext::Kernel kernel = context_->kernel(call.name, call.shared_bytes);
  cuda::LaunchAttribute waits_itself{.id = cuda::kProgrammaticStreamSerialization, .value = 1};
  const cuda::LaunchConfig config{.num_thread_blocks = {blocks[0], blocks[1], blocks[2]},
                                  .num_threads = {call.num_threads, 1, 1},
                                  .shared_bytes = call.shared_bytes,
                                  .stream = work_handle(),
                                  .attributes = &waits_itself,
                                  .num_attributes = call.waits_itself && kernel.can_wait_itself ? 1u : 0u};
  context_->driver().check(context_->driver().LaunchKernelEx(&config, kernel.function, params, nullptr),
                           "cuLaunchKernelEx");
}

void* CudaStream::workspace(size_t bytes) {
  return capture() == nullptr ? last_of(workspaces_, bytes, false) : capture()->workspace(bytes);
}

void* CudaStream::counters(size_t bytes) {
  if (capture() == nullptr) return last_of(counters_, bytes, true);
  return capture()->counters(bytes, [&](Memory& memory) { zero(cuda::device_ptr(memory.address()), memory.bytes()); });
}

void* CudaStream::last_of(GrowingMemory& memory, size_t bytes, bool is_zeroed) {
  if (bytes > memory.last_bytes) {
    context_->make_current();
    const auto& driver = context_->driver();
    // At least twice the last one, that all of them together are at most twice the largest.
    const size_t wanted = std::max(bytes, 2 * memory.last_bytes);
    memory.all.reserve(memory.all.size() + 1);
    cuda::DevicePtr address = 0;
    driver.check(driver.MemAlloc(&address, wanted), "cuMemAlloc");
    memory.all.push_back(address);
    if (is_zeroed) zero(address, wanted);
    memory.last_bytes = wanted;
  }
  return memory.all.empty() ? nullptr : reinterpret_cast<void*>(memory.all.back());
}

void CudaStream::zero(cuda::DevicePtr address, size_t bytes) {
  context_->make_current();
  context_->driver().check(context_->driver().MemsetD8Async(address, 0, bytes, handle_), "cuMemsetD8Async");
}

void CudaStream::record(Event& event) {
  context_->make_current();
  context_->driver().check(context_->driver().EventRecord(as_cuda(event, "event").handle(), handle_), "cuEventRecord");
}

void CudaStream::wait(Event& event) {
  context_->make_current();
  context_->driver().check(context_->driver().StreamWaitEvent(handle_, as_cuda(event, "event").handle(), 0),
                           "cuStreamWaitEvent");
}

void CudaStream::synchronize() {
  context_->make_current();
  context_->driver().check(context_->driver().StreamSynchronize(handle_), "cuStreamSynchronize");
}

bool CudaStream::is_idle() {
  const cuda::Result result = context_->driver().StreamQuery(handle_);
  if (result == cuda::kNotReady) return false;
  context_->driver().check(result, "cuStreamQuery");
  return true;
}

void CudaStream::when_done(std::function<void(std::exception_ptr)> callback) {
  auto event = std::make_unique<CudaEvent>(context_, cuda::kEventBlockingSync | cuda::kEventDisableTiming);
  // Memory can be given back by any thread, the waiting one among them, and that may need this callback.
  const std::scoped_lock lock(waiter_->mutex);
  record(*event);
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([waiter = waiter_] { waiter->run(); });
    } catch (const std::system_error& failure) {
      throw system_error("starting a stream's thread", failure.what());
    }
  }
  waiter_->queue.push_back({std::move(event), std::move(callback)});
  waiter_->changed.notify_all();
}

void CudaStream::begin_recording() {
  captured_ = std::make_unique<CudaCapture>(context_);
}

std::unique_ptr<Recording> CudaStream::end_recording() {
  const auto captured = std::exchange(captured_, nullptr);
  return std::make_unique<CudaRecording>(context_, *captured);
}

void CudaStream::abandon_recording() noexcept {
  captured_.reset();
}

cuda::StreamHandle CudaStream::work_handle() const noexcept {
  return captured_ == nullptr ? handle_ : captured_->handle();
}

void CudaStream::Waiter::run() {
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [&] { return !queue.empty() || is_closed; });
    if (queue.empty()) return;
    Waiting waiting = std::move(queue.front());
    queue.pop_front();
    lock.unlock();
    std::exception_ptr failure;
    try {
      waiting.event->synchronize();
    } catch (...) {
      failure = std::current_exception();
    }
    waiting.callback(failure);
    waiting = {};  // what it owns goes without the lock held
    lock.lock();
  }
}

}  // namespace kv
