#include <doctest/doctest.h>

#include <cstdlib>
#include <new>
#include <string>

#include "memory/devices.h"
#include "test/allocation_faults.h"
#include "test/fake_cuda/fake_cuda.h"
#include "test/life_cycle.h"

namespace kv::test {
namespace {

/// "" or what was thrown; anything but the two kinds that may be ends the test.
std::string outcome_of(const std::string& device) {
  try {
    life_cycle(device);
    return "";
  } catch (const Error& error) {
    return error.code();
  } catch (const std::bad_alloc&) {
    return "bad_alloc";
  }
}

void check_every_allocation(const std::string& device) {
  const auto observer = open_backend(device, 0);
  // What was freed is given back in the order of a stream: the figures are waited for.
  const auto num_live_at_rest = [&] {
    observer->memory_info();
    return num_live_allocations();
  };
  REQUIRE(outcome_of(device) == "");
  long num_thrown = 0;
  for (long n = 1;; ++n) {
    const long num_live = num_live_at_rest();
    bool has_failed = false;
    bool has_thrown = false;
    {
      const FailingAllocation failing(n);
      has_thrown = outcome_of(device) != "";
      has_failed = failing.has_failed();
    }
    const long num_leaked = num_live_at_rest() - num_live;
    CAPTURE(n);
    CHECK(num_leaked == 0);
    if (!has_failed) break;
    num_thrown += has_thrown;
  }
  CHECK(num_thrown > 40);
}

size_t free_bytes(Backend& backend) {
  setenv("KV_FAKE_CUDA_FAIL_AT", "", 1);
  return backend.memory_info().free_bytes;
}

/// Fails the n-th call of the driver for every n: that one alone, or with the `suffix` "+" all from it on.
void check_every_call(const std::string& suffix) {
  const auto observer = open_backend("cuda:0", 0);
  REQUIRE(outcome_of("cuda:0") == "");
  const size_t wanted_free_bytes = free_bytes(*observer);
  size_t num_thrown = 0;
  for (int n = 1;; ++n) {
    const size_t num_failures = kv_fake_cuda_num_failures();
    setenv("KV_FAKE_CUDA_FAIL_AT", ("call" + std::to_string(n) + ":" + std::to_string(n) + suffix).c_str(), 1);
    const std::string outcome = outcome_of("cuda:0");
    CAPTURE(n);
    CHECK(free_bytes(*observer) == wanted_free_bytes);
    if (kv_fake_cuda_num_failures() == num_failures) break;
    num_thrown += outcome != "";
    CHECK_MESSAGE((outcome == "" || outcome == "CUDA_ERROR"), outcome);
  }
  CHECK(num_thrown > 80);
}

}  // namespace

TEST_CASE("every allocation that fails is reported, leaks nothing and ends nothing, on the host") {
  check_every_allocation("host");
}

TEST_CASE("every allocation that fails is reported, leaks nothing and ends nothing, on CUDA") {
  kv_fake_cuda_on_inside(exempt_this_thread);
  check_every_allocation("cuda:0");
  kv_fake_cuda_on_inside(nullptr);
}

TEST_CASE("every driver call that fails is reported, leaks nothing and ends nothing") {
  check_every_call("");
}

TEST_CASE("a driver that fails from some call on is reported, leaks nothing and ends nothing") {
  check_every_call("+");
}

TEST_CASE("a driver without pools is served by plain memory, and so are its failures") {
  setenv("KV_FAKE_CUDA_POOLS", "0", 1);
  check_every_call("");
  unsetenv("KV_FAKE_CUDA_POOLS");
}

}  // namespace kv::test
