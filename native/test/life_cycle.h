#pragma once
#include <string>

namespace kv::test {

/// One of everything that a device can do, with work in flight when it ends.
void life_cycle(const std::string& device);

}  // namespace kv::test
