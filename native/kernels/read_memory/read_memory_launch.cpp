#include "kernels/host/host_call.h"
#include "kernels/read_memory/read_memory.h"
#include "kernels/read_memory/read_memory_grid.h"
#include "kernels/read_memory/read_memory_host.h"
#include "memory/host_stream.h"

namespace kv {

void run_read_memory(const ReadMemoryParams& params, Stream& stream) {
  if (params.num_vectors == 0) return;
  if (dynamic_cast<HostStream*>(&stream) != nullptr) {
    return launch_on_threads("read_memory", std::make_shared<ReadMemoryHost>(params), stream);
  }
  const int64_t num_thread_blocks = (params.num_vectors + kVectorsPerThreadBlock - 1) / kVectorsPerThreadBlock;
  stream.launch({.name = "read_memory",
                 .num_thread_blocks = {static_cast<unsigned>(num_thread_blocks), 1, 1},
                 .num_threads = kReadThreads,
                 .params = &params,
                 .params_bytes = sizeof params,
                 .on_host = [](const void* p) { read_memory_cpu(*static_cast<const ReadMemoryParams*>(p)); }});
}

}  // namespace kv
