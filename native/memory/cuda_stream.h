#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "memory/backend.h"
#include "memory/cuda_driver.h"

namespace kv {

/// The primary context of a CUDA device, retained for as long as this lives, and its kernels.
class CudaContext {
 public:
  explicit CudaContext(int ordinal);
  ~CudaContext();
  CudaContext(const CudaContext&) = delete;
  CudaContext& operator=(const CudaContext&) = delete;

  const cuda::Driver& driver() const noexcept { return driver_; }
  cuda::Device device() const noexcept { return device_; }
  const DeviceProperties& properties() const noexcept { return properties_; }
  void make_current() const;
  /// For giving back, which goes on whatever fails. At process exit the driver may be gone, with all its memory: its
  /// functions then only return an error.
  void try_make_current() const noexcept { (void)driver_.CtxSetCurrent(context_); }

  struct Kernel {
    const char* name;
    cuda::Function function;
    bool can_wait_itself;   // was compiled for a GPU that has the instructions
    unsigned shared_bytes;  // the most that it has been allowed
  };
  /// A kernel by name, that may be given `shared_bytes`; loads the embedded kernels at the first call.
  Kernel kernel(const char* name, unsigned shared_bytes);

 private:
  const cuda::Driver& driver_;

  Kernel load(const char* name);

  const DeviceProperties properties_;
  cuda::Device device_ = 0;
  cuda::Context context_ = nullptr;
  std::mutex mutex_;
  cuda::Module module_ = nullptr;
  std::vector<Kernel> kernels_;
};

class CudaEvent : public Event {
 public:
  CudaEvent(std::shared_ptr<CudaContext> context, unsigned flags);
  ~CudaEvent() override;
  bool is_done() override;
  void synchronize() override;
  double elapsed_ms_since(Event& earlier) override;
  cuda::EventHandle handle() const noexcept { return handle_; }

 private:
  std::shared_ptr<CudaContext> context_;
  cuda::EventHandle handle_ = nullptr;
};

class CudaCapture;
class CudaStaging;

/// A CUDA stream, and a thread of its own, made when first needed, that waits for it and calls back.
class CudaStream : public Stream {
 public:
  explicit CudaStream(std::shared_ptr<CudaContext> context);
  ~CudaStream() override;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  const DeviceProperties& properties() const override { return context_->properties(); }
  void fill(void* to, uint8_t value, size_t bytes) override;
  void copy(void* to, const void* from, size_t bytes) override;
  void upload(void* to, const void* from, size_t bytes) override;
  void download(void* to, const void* from, size_t bytes) override;
  void launch(const KernelCall& call) override;
  void* workspace(size_t bytes) override;
  void* counters(size_t bytes) override;
  void record(Event& event) override;
  void wait(Event& event) override;
  void synchronize() override;
  bool is_idle() override;
  void when_done(std::function<void(std::exception_ptr)> callback) override;

  cuda::StreamHandle handle() const noexcept { return handle_; }
  const std::shared_ptr<CudaContext>& context() const noexcept { return context_; }

 protected:
  void begin_recording() override;
  std::unique_ptr<Recording> end_recording() override;
  void abandon_recording() noexcept override;

 private:
  /// Shared with the waiting thread, which may outlive the stream when it is the one that drops it.
  struct Waiter {
    struct Waiting {
      std::unique_ptr<CudaEvent> event;
      std::function<void(std::exception_ptr)> callback;
    };
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Waiting> queue;
    bool is_closed = false;

    void run();
  };

  /// Memory that work of this stream may still use: a larger one does not end a smaller one.
  struct GrowingMemory {
    std::vector<cuda::DevicePtr> all;
    size_t last_bytes = 0;  // the largest
  };

  /// Makes a larger one when the last one is too small; of zeros if wanted.
  void* last_of(GrowingMemory& memory, size_t bytes, bool is_zeroed);
  void zero(cuda::DevicePtr address, size_t bytes);

  /// For long copies between the device and pageable memory.
  CudaStaging& staging();

  /// Where work goes that can be captured.
  cuda::StreamHandle work_handle() const noexcept;

  std::shared_ptr<CudaContext> context_;
  cuda::StreamHandle handle_ = nullptr;
  std::unique_ptr<CudaCapture> captured_;  // null unless the stream is being captured
  GrowingMemory workspaces_;
  GrowingMemory counters_;
  std::unique_ptr<CudaStaging> staging_;  // made when first needed
  std::shared_ptr<Waiter> waiter_ = std::make_shared<Waiter>();
  std::thread thread_;
};

}  // namespace kv
