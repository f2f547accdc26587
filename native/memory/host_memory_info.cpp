#include "memory/host_memory_info.h"

#include <algorithm>
#include <fstream>
#include <string>

#ifdef _WIN32
#include <windows.h>
#else
#include <unistd.h>
#endif

namespace kv {
namespace {

#ifdef __linux__
/// The number in a file that holds just one, such as a control group's limit; `otherwise` for "max" or no file.
size_t number_in(const char* path, size_t otherwise) {
  std::ifstream file(path);
  size_t number = 0;
  return file >> number ? number : otherwise;
}

MemoryInfo read_meminfo() {
  std::ifstream file("/proc/meminfo");
  MemoryInfo info{0, 0};
  std::string key, unit;
  for (size_t kibibytes = 0; file >> key >> kibibytes; std::getline(file, unit)) {
    if (key == "MemTotal:") info.total_bytes = kibibytes * 1024;
    if (key == "MemAvailable:") info.free_bytes = kibibytes * 1024;
  }
  return info;
}

MemoryInfo apply_container_limit(MemoryInfo info) {
  const size_t limit = number_in("/sys/fs/cgroup/memory.max", info.total_bytes);
  if (limit >= info.total_bytes) return info;
  const size_t used = std::min(limit, number_in("/sys/fs/cgroup/memory.current", 0));
  return {std::min(info.free_bytes, limit - used), limit};
}
#endif

}  // namespace

MemoryInfo host_memory_info() {
#if defined(_WIN32)
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  GlobalMemoryStatusEx(&status);
  return {static_cast<size_t>(status.ullAvailPhys), static_cast<size_t>(status.ullTotalPhys)};
#elif defined(__linux__)
  return apply_container_limit(read_meminfo());
#else
  const size_t total = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return {total, total};
#endif
}

}  // namespace kv
