// Replaces the global operator new, to count what lives and to fail on demand.
#include "test/allocation_faults.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> num_live = 0;
std::atomic<long> num_until_failure = 0;  // 0: none will fail
thread_local int num_exemptions = 0;

bool must_fail() {
  return num_exemptions == 0 && num_until_failure.load() > 0 && num_until_failure.fetch_sub(1) == 1;
}

void* allocate(size_t bytes, size_t alignment) noexcept {
  if (must_fail()) return nullptr;
  void* address = nullptr;
  if (alignment <= alignof(std::max_align_t)) {
    address = std::malloc(bytes == 0 ? 1 : bytes);
  } else if (posix_memalign(&address, alignment, bytes) != 0) {
    address = nullptr;
  }
  if (address != nullptr) ++num_live;
  return address;
}

void* allocate_or_throw(size_t bytes, size_t alignment) {
  void* address = allocate(bytes, alignment);
  if (address == nullptr) throw std::bad_alloc();
  return address;
}

void release(void* address) noexcept {
  if (address != nullptr) --num_live;
  std::free(address);
}

constexpr size_t kUsual = alignof(std::max_align_t);

}  // namespace

// The array forms end in these.
void* operator new(size_t bytes) {
  return allocate_or_throw(bytes, kUsual);
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes, kUsual);
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  return allocate_or_throw(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* address) noexcept {
  release(address);
}
void operator delete(void* address, size_t) noexcept {
  release(address);
}
void operator delete(void* address, std::align_val_t) noexcept {
  release(address);
}
void operator delete(void* address, size_t, std::align_val_t) noexcept {
  release(address);
}

namespace kv::test {

long num_live_allocations() {
  return num_live;
}

void exempt_this_thread(bool is_exempt) {
  num_exemptions += is_exempt ? 1 : -1;
}

FailingAllocation::FailingAllocation(long n) {
  num_until_failure = n;
}

FailingAllocation::~FailingAllocation() {
  num_until_failure = 0;
}

bool FailingAllocation::has_failed() const {
  return num_until_failure <= 0;
}

}  // namespace kv::test
