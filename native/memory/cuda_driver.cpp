#include "memory/cuda_driver.h"

#include <cstdlib>
#include <mutex>

#include "memory/error.h"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace kv::cuda {
namespace {

// cuGetProcAddress_v2 came with CUDA 12.0; it fills in a status that tells a missing symbol from an old driver.
using GetProcAddress = Result (*)(const char*, void**, int, uint64_t, int*);

#ifdef _WIN32
constexpr const char* kDefaultLibrary = "nvcuda.dll";
void* open_library(const char* name) {
  return LoadLibraryA(name);
}
void* find_symbol(void* library, const char* name) {
  return reinterpret_cast<void*>(::GetProcAddress(static_cast<HMODULE>(library), name));
}
std::string loader_message() {
  return "LoadLibrary error " + std::to_string(GetLastError());
}
#else
constexpr const char* kDefaultLibrary = "libcuda.so.1";
void* open_library(const char* name) {
  return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}
void* find_symbol(void* library, const char* name) {
  return dlsym(library, name);
}
std::string loader_message() {
  const char* message = dlerror();
  return message == nullptr ? "unknown" : message;
}
#endif

/// KV_LIBCUDA names another library, such as one that injects faults.
std::string library_name() {
  const char* named = std::getenv("KV_LIBCUDA");
  return named == nullptr || *named == '\0' ? kDefaultLibrary : named;
}

Driver load() {
  const std::string name = library_name();
  void* library = open_library(name.c_str());
  if (library == nullptr) {
    throw Error("NO_DRIVER",
                "the NVIDIA driver's library " + name + " was not found (" + loader_message() +
                    "); install the NVIDIA driver to use a GPU, or use the device \"host\"",
                {{"library", name}});
  }
  const auto resolve = reinterpret_cast<GetProcAddress>(find_symbol(library, "cuGetProcAddress_v2"));
  const auto too_old = [&](const char* symbol) {
    return Error("DRIVER_TOO_OLD",
                 std::string("the NVIDIA driver has no ") + symbol + "; version 525 (CUDA 12.0) or later is needed",
                 {{"library", name}, {"symbol", std::string(symbol)}});
  };
  if (resolve == nullptr) throw too_old("cuGetProcAddress_v2");
  Driver driver;
  void* found = nullptr;
  int status = 0;
#define KV_RESOLVE(member, symbol, version, parameters)                                                    \
  found = nullptr;                                                                                         \
  if (resolve(symbol, &found, version, 0, &status) != kSuccess || found == nullptr) throw too_old(symbol); \
  driver.member = reinterpret_cast<decltype(driver.member)>(found);
  KV_CUDA_FUNCTIONS(KV_RESOLVE)
#undef KV_RESOLVE
  driver.check(driver.Init(0), "cuInit");
  return driver;
}

}  // namespace

std::string Driver::error_name(Result result) const {
  const char* name = nullptr;
  return GetErrorName(result, &name) == kSuccess && name != nullptr ? name : "CUDA error " + std::to_string(result);
}

void Driver::check(Result result, const char* call) const {
  if (result == kSuccess) return;
  const char* text = nullptr;
  const bool has_text = GetErrorString(result, &text) == kSuccess && text != nullptr;
  throw Error(
      "CUDA_ERROR", std::string(call) + " failed: " + error_name(result) + (has_text ? std::string(", ") + text : ""),
      {{"call", std::string(call)}, {"cudaError", error_name(result)}, {"cudaCode", static_cast<double>(result)}});
}

const Driver& driver() {
  // Never destroyed: buffers are freed while the process ends, after static destructors may have begun.
  static std::mutex mutex;
  static const Driver* loaded = nullptr;
  const std::scoped_lock lock(mutex);
  if (loaded == nullptr) loaded = new Driver(load());
  return *loaded;
}

}  // namespace kv::cuda
