#include "binding/handle_table.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <unordered_map>

#include "test/devices.h"

namespace kv::test {

using binding::HandleTable;
using binding::OpenEvent;
using binding::OpenStream;

namespace {

std::shared_ptr<Event> event_of(HandleTable& table, double handle) {
  return table.get<OpenEvent>(handle, "event").event;
}

}  // namespace

TEST_SUITE_BEGIN("handle table");

TEST_CASE("a handle names what was put in, until it is released, and never anything else") {
  std::minstd_rand random(1);
  HandleTable table(3);
  std::unordered_map<double, std::shared_ptr<Event>> open;
  std::vector<double> released;
  for (int round = 0; round < 20'000; ++round) {
    if (open.empty() || random() % 2 == 0) {
      const auto event = std::make_shared<HostEvent>();
      const double handle = table.insert(OpenEvent{event});
      REQUIRE(open.emplace(handle, event).second);
      // Beyond the last generation a handle would one day not be an exact number.
      REQUIRE(handle < 4 * 0x1p24);
      REQUIRE(std::find(released.begin(), released.end(), handle) == released.end());
    } else {
      const double handle = open.begin()->first;
      REQUIRE(event_of(table, handle) == open.begin()->second);
      REQUIRE(table.release(handle));
      open.erase(open.begin());
      if (released.size() < 100) released.push_back(handle);
    }
    if (!released.empty()) REQUIRE_FALSE(table.release(released[random() % released.size()]));
  }
  for (const auto& [handle, event] : open) REQUIRE(event_of(table, handle) == event);
}

TEST_CASE("what is released goes at once") {
  HandleTable table;
  const auto event = std::make_shared<HostEvent>();
  const double handle = table.insert(OpenEvent{event});
  CHECK(event.use_count() == 2);
  table.release(handle);
  CHECK(event.use_count() == 1);
}

TEST_CASE("numbers that are no handles name nothing") {
  HandleTable table;
  const double handle = table.insert(OpenEvent{std::make_shared<HostEvent>()});
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double number : {-1.0, -0.5, handle + 0.5, handle + 1, 2 * handle, 1e16, 1e300, infinity, -infinity,
                              std::numeric_limits<double>::quiet_NaN(), 9007199254740991.0}) {
    CAPTURE(number);
    CHECK_FALSE(table.release(number));
    CHECK(code_of([&] { event_of(table, number); }) == "DISPOSED");
  }
  CHECK(event_of(table, handle) != nullptr);
}

TEST_CASE("a handle of another kind is told apart from one that was released") {
  HandleTable table;
  const double handle = table.insert(OpenEvent{std::make_shared<HostEvent>()});
  CHECK(code_of([&] { table.get<OpenStream>(handle, "stream"); }) == "INVALID_ARGUMENT");
  table.release(handle);
  CHECK(code_of([&] { table.get<OpenStream>(handle, "stream"); }) == "DISPOSED");
}

TEST_CASE("handles are exact numbers to the last generation") {
  // As handles of the last place and generation would be.
  constexpr uint64_t largest = (uint64_t{HandleTable::kLastGeneration} << 24) + (1 << 24) - 1;
  CHECK(largest == 9007199254740991);
}

TEST_SUITE_END();

}  // namespace kv::test
