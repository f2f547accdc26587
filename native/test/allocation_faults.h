#pragma once
#include <cstddef>

namespace kv::test {

/// What operator new gave and operator delete did not take back yet.
long num_live_allocations();

/// Makes operator new on this thread not fail, until it is called as often with false as with true.
void exempt_this_thread(bool is_exempt);

/// From construction on, the n-th operator new of any thread fails.
class FailingAllocation {
 public:
  explicit FailingAllocation(long n);
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  bool has_failed() const;
};

}  // namespace kv::test
