#pragma once
#include <cstring>
#include <string>
#include <vector>

#include "memory/host_stream.h"

namespace kv::test {

/// What a launch asks of a GPU: the kernel, the grid and the parameters.
template <typename Params>
struct Launch {
  std::string name;
  unsigned x, y, z;
  unsigned num_threads;
  Params params;
};

/// A stream that does nothing but keep what is launched on it.
template <typename Params>
class RecordingStream : public Stream {
 public:
  std::vector<Launch<Params>> launches;

  const DeviceProperties& properties() const override { return host_device_properties(); }
  void launch(const KernelCall& call) override {
    const auto& grid = call.num_thread_blocks;
    Launch<Params> launch{call.name, grid[0], grid[1], grid[2], call.num_threads, {}};
    std::memcpy(&launch.params, call.params, call.params_bytes);
    launches.push_back(launch);
  }
  void fill(void*, uint8_t, size_t) override {}
  void copy(void*, const void*, size_t) override {}
  void upload(void*, const void*, size_t) override {}
  void download(void*, const void*, size_t) override {}
  void record(Event&) override {}
  void wait(Event&) override {}
  void synchronize() override {}
  bool is_idle() override { return true; }
  void when_done(std::function<void(std::exception_ptr)>) override {}

 protected:
  void begin_recording() override {}
  std::unique_ptr<Recording> end_recording() override { return nullptr; }
  void abandon_recording() noexcept override {}
};

}  // namespace kv::test
