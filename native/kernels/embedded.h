#pragma once

namespace kv::kernels {

/// The kernels as machine code for several architectures, or null in a build without nvcc.
const void* fatbin() noexcept;
/// The kernels as PTX text, for every other GPU and for older drivers.
const void* ptx() noexcept;
/// "nvcc 13.0.88" or "ptx"
const char* source() noexcept;

}  // namespace kv::kernels
