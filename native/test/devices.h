#pragma once
#include <future>
#include <memory>
#include <vector>

#include "memory/devices.h"
#include "memory/host_stream.h"
#include "memory/memory.h"
#include "test/fake_cuda/fake_cuda.h"

namespace kv::test {

/// Holds back what is queued on streams from now on, until it is opened or goes.
class HostHold {
 public:
  explicit HostHold(const std::vector<StreamPtr>& streams) {
    for (const StreamPtr& stream : streams) {
      static_cast<HostStream&>(*stream).enqueue([opened = opened_] { opened.wait(); });
    }
  }
  ~HostHold() { open(); }
  HostHold(const HostHold&) = delete;
  HostHold& operator=(const HostHold&) = delete;

  void open() {
    if (!is_open_) opening_.set_value();
    is_open_ = true;
  }

 private:
  std::promise<void> opening_;
  std::shared_future<void> opened_ = opening_.get_future().share();
  bool is_open_ = false;
};

/// As HostHold, but for every stream of the fake driver.
class CudaHold {
 public:
  explicit CudaHold(const std::vector<StreamPtr>&) { kv_fake_cuda_pause(true); }
  ~CudaHold() { open(); }
  CudaHold(const CudaHold&) = delete;
  CudaHold& operator=(const CudaHold&) = delete;

  void open() { kv_fake_cuda_pause(false); }
};

// What the suites run on.
struct OnHost {
  using Hold = HostHold;
  static std::shared_ptr<Backend> open() { return open_backend("host", 0); }
};

struct OnFakeCuda {
  using Hold = CudaHold;
  static std::shared_ptr<Backend> open() { return open_backend("cuda:0", 0); }
};

/// Memory of a stream, with a natural alignment.
inline std::shared_ptr<Memory> allocate(const std::shared_ptr<Backend>& backend, const StreamPtr& stream, size_t bytes,
                                        MemoryKind kind = MemoryKind::pool) {
  return std::make_shared<Memory>(backend, stream, bytes, kNaturalAlignment, kind);
}

/// What is in memory after the work of a stream.
inline std::vector<std::byte> contents(const Memory& memory, Stream& stream) {
  std::vector<std::byte> bytes(memory.bytes());
  stream.download(bytes.data(), memory.address(), bytes.size());
  return bytes;
}

inline std::vector<std::byte> repeated(size_t bytes, uint8_t value) {
  return std::vector<std::byte>(bytes, std::byte{value});
}

/// The code of the error that a call throws; "" when it throws none.
template <typename Call>
std::string code_of(Call call) {
  try {
    call();
    return "";
  } catch (const Error& error) {
    return error.code();
  }
}

}  // namespace kv::test
