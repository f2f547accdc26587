#pragma once
#include "memory/cuda_driver.h"

namespace fake {

using namespace kv::cuda;

// One function for each of the driver's that kv_core uses, under the member's name.
#define KV_DECLARE(member, symbol, version, parameters) Result member parameters;
KV_CUDA_FUNCTIONS(KV_DECLARE)
#undef KV_DECLARE

}  // namespace fake
