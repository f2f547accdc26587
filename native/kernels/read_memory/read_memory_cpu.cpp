#include "kernels/read_memory/read_memory.h"

namespace kv {

void read_memory_cpu(const ReadMemoryParams& params) {
  for (int64_t i = 0; i < kWordsPerVector * params.num_vectors; ++i) {
    if (params.words[i] == params.wanted) *params.found = 1;
  }
}

}  // namespace kv
