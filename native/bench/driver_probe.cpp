// What the bare CUDA driver takes for the work that benchmarks/device.bench.ts times through TypeScript: the limit to
// compare with, measured on the same machine in the same run. Prints a JSON object a line, its amount in bytes or in
// launches:
//   {"what": "allocate and zero", "amount": 25165824, "medianUs": 22.1}
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <vector>

#include "kernels/append/append.h"
#include "kernels/embedded.h"
#include "memory/cuda_driver.h"

using namespace kv::cuda;

namespace {

constexpr size_t kMiB = size_t{1} << 20;

double elapsed_us(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double>& times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

double median_us(int repetitions, const std::function<void()>& run) {
  run();
  std::vector<double> times;
  for (int i = 0; i < repetitions; ++i) times.push_back(elapsed_us(run));
  return median(times);
}

void print(const char* what, size_t amount, double microseconds) {
  std::printf("{\"what\": \"%s\", \"amount\": %zu, \"medianUs\": %.3f}\n", what, amount, microseconds);
}

class Probe {
 public:
  Probe() : driver_(driver()) {
    Context context = nullptr;
    driver_.check(driver_.DevicePrimaryCtxRetain(&context, 0), "cuDevicePrimaryCtxRetain");
    driver_.check(driver_.CtxSetCurrent(context), "cuCtxSetCurrent");
    driver_.check(driver_.StreamCreate(&stream_, kStreamNonBlocking), "cuStreamCreate");
    driver_.check(driver_.MemPoolCreate(&pool_, &props_), "cuMemPoolCreate");
    uint64_t threshold = UINT64_MAX;
    driver_.check(driver_.MemPoolSetAttribute(pool_, kPoolReleaseThreshold, &threshold), "cuMemPoolSetAttribute");
  }

  void allocate_and_zero(size_t bytes) {
    print("allocate and zero", bytes, median_us(30, [&] {
            DevicePtr address = 0;
            driver_.check(driver_.MemAllocFromPoolAsync(&address, bytes, pool_, stream_), "cuMemAllocFromPoolAsync");
            driver_.check(driver_.MemsetD8Async(address, 0, bytes, stream_), "cuMemsetD8Async");
            synchronize();
            driver_.check(driver_.MemFreeAsync(address, stream_), "cuMemFreeAsync");
          }));
  }

  /// Queues append once a layer, for tokens that it skips: the driver's own time for a step's launches.
  void launches(size_t num_layers) {
    Module module = nullptr;
    const void* image = kv::kernels::fatbin() == nullptr ? kv::kernels::ptx() : kv::kernels::fatbin();
    driver_.check(driver_.ModuleLoadData(&module, image), "cuModuleLoadData");
    Function function = nullptr;
    driver_.check(driver_.ModuleGetFunction(&function, module, "append_16"), "cuModuleGetFunction");
    kv::AppendParams skipped{};
    skipped.first_slot = -1;
    void* params[] = {&skipped};
    std::vector<double> times;
    for (int i = 0; i < 500; ++i) {
      times.push_back(elapsed_us([&] {
        for (size_t layer = 0; layer < num_layers; ++layer) {
          driver_.check(driver_.LaunchKernel(function, 1, 1, 1, 128, 1, 1, 0, stream_, params, nullptr),
                        "cuLaunchKernel");
        }
      }));
      synchronize();
    }
    print("launches", num_layers, median(times));
    driver_.ModuleUnload(module);
  }

  void fill(size_t bytes) {
    const DevicePtr address = allocate(bytes);
    print("fill", bytes, median_us(20, [&] {
            driver_.check(driver_.MemsetD8Async(address, 1, bytes, stream_), "cuMemsetD8Async");
            synchronize();
          }));
    free(address);
  }

  void copies(size_t bytes) {
    const DevicePtr device = allocate(bytes);
    const DevicePtr other = allocate(bytes);
    void* pinned = nullptr;
    driver_.check(driver_.MemHostAlloc(&pinned, bytes, kHostAllocPortable), "cuMemHostAlloc");
    std::vector<char> pageable(bytes, 1);
    std::memset(pinned, 1, bytes);
    to_device("pinned to device", device, pinned, bytes);
    to_host("device to pinned", pinned, device, bytes);
    to_device("pageable to device", device, pageable.data(), bytes);
    to_host("device to pageable", pageable.data(), device, bytes);
    print("device to device", bytes, median_us(20, [&] {
            driver_.check(driver_.MemcpyAsync(other, device, bytes, stream_), "cuMemcpyAsync");
            synchronize();
          }));
    driver_.MemFreeHost(pinned);
    free(device);
    free(other);
  }

 private:
  void to_device(const char* what, DevicePtr to, const void* from, size_t bytes) {
    print(what, bytes, median_us(20, [&] {
            driver_.check(driver_.MemcpyHtoDAsync(to, from, bytes, stream_), "cuMemcpyHtoDAsync");
            synchronize();
          }));
  }

  void to_host(const char* what, void* to, DevicePtr from, size_t bytes) {
    print(what, bytes, median_us(20, [&] {
            driver_.check(driver_.MemcpyDtoHAsync(to, from, bytes, stream_), "cuMemcpyDtoHAsync");
            synchronize();
          }));
  }

  DevicePtr allocate(size_t bytes) {
    DevicePtr address = 0;
    driver_.check(driver_.MemAlloc(&address, bytes), "cuMemAlloc");
    return address;
  }

  void free(DevicePtr address) { driver_.check(driver_.MemFree(address), "cuMemFree"); }
  void synchronize() { driver_.check(driver_.StreamSynchronize(stream_), "cuStreamSynchronize"); }

  const Driver& driver_;
  PoolProps props_;
  Pool pool_ = nullptr;
  StreamHandle stream_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) try {
  Probe probe;
  for (int i = 1; i < argc; ++i) probe.allocate_and_zero(std::strtoull(argv[i], nullptr, 10));
  probe.launches(32);
  probe.fill(1024 * kMiB);
  probe.copies(256 * kMiB);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
