// What the bare CUDA driver takes for the work that benchmarks/device.bench.ts times through TypeScript: the limit to
// compare with, measured on the same machine in the same run. Prints a JSON object a line, its amount in bytes or in
// launches, and nothing where there is no GPU:
//   {"what": "allocate and zero", "amount": 25165824, "medianUs": 22.1, "leastUs": 21.3}
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <vector>

#include "kernels/append/append.h"
#include "kernels/embedded.h"
#include "memory/cuda_driver.h"
#include "memory/devices.h"

using namespace kv::cuda;

namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kFirstBytes = 24 * kMiB;

double elapsed_us(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

std::vector<double> times_us(int repetitions, const std::function<void()>& run) {
  run();
  std::vector<double> times;
  for (int i = 0; i < repetitions; ++i) times.push_back(elapsed_us(run));
  return times;
}

void print(const char* what, size_t amount, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  std::printf("{\"what\": \"%s\", \"amount\": %zu, \"medianUs\": %.3f, \"leastUs\": %.3f}\n", what, amount,
              times[times.size() / 2], times.front());
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

  size_t free_bytes() {
    size_t free = 0;
    size_t total = 0;
    driver_.check(driver_.MemGetInfo(&free, &total), "cuMemGetInfo");
    return free;
  }

  void allocate_and_zero(size_t bytes) {
    std::vector<double> times;
    for (int i = 0; i <= 30; ++i) {
      DevicePtr address = 0;
      times.push_back(elapsed_us([&] { address = allocate_zeroed(bytes); }));
      driver_.check(driver_.MemFreeAsync(address, stream_), "cuMemFreeAsync");
    }
    times.erase(times.begin());
    print("allocate and zero", bytes, times);
  }

  DevicePtr allocate_zeroed(size_t bytes) {
    DevicePtr address = 0;
    driver_.check(driver_.MemAllocFromPoolAsync(&address, bytes, pool_, stream_), "cuMemAllocFromPoolAsync");
    driver_.check(driver_.MemsetD8Async(address, 0, bytes, stream_), "cuMemsetD8Async");
    synchronize();
    return address;
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
    const LaunchConfig config{.num_threads = {128, 1, 1}, .stream = stream_};
    std::vector<double> times;
    for (int i = 0; i < 500; ++i) {
      times.push_back(elapsed_us([&] {
        for (size_t layer = 0; layer < num_layers; ++layer) {
          driver_.check(driver_.LaunchKernelEx(&config, function, params, nullptr), "cuLaunchKernelEx");
        }
      }));
      synchronize();
    }
    print("launches", num_layers, times);
    driver_.ModuleUnload(module);
  }

  void fill(size_t bytes) {
    const DevicePtr address = allocate(bytes);
    print("fill", bytes, times_us(20, [&] {
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
    print("device to device", bytes, times_us(20, [&] {
            driver_.check(driver_.MemcpyAsync(other, device, bytes, stream_), "cuMemcpyAsync");
            synchronize();
          }));
    driver_.MemFreeHost(pinned);
    free(device);
    free(other);
  }

 private:
  void to_device(const char* what, DevicePtr to, const void* from, size_t bytes) {
    print(what, bytes, times_us(20, [&] {
            driver_.check(driver_.MemcpyHtoDAsync(to, from, bytes, stream_), "cuMemcpyHtoDAsync");
            synchronize();
          }));
  }

  void to_host(const char* what, void* to, DevicePtr from, size_t bytes) {
    print(what, bytes, times_us(20, [&] {
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
  std::optional<Probe> first;
  const double first_us = elapsed_us([&] {
    if (kv::probe_cuda().is_available) first.emplace().allocate_zeroed(kFirstBytes);
  });
  if (!first.has_value()) return 0;
  print("first use", kFirstBytes, {first_us});
  Probe& probe = *first;
  for (int i = 1; i < argc; ++i) {
    const size_t bytes = std::strtoull(argv[i], nullptr, 10);
    if (bytes < probe.free_bytes() / 10 * 9) probe.allocate_and_zero(bytes);
  }
  probe.launches(32);
  probe.fill(1024 * kMiB);
  probe.copies(256 * kMiB);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
