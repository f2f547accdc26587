#pragma once

namespace kv {

// How the kernel and its launch divide the memory.
constexpr int kReadThreads = 512;
constexpr int kVectorsPerThread = 8;
constexpr int kVectorsPerThreadBlock = kReadThreads * kVectorsPerThread;

}  // namespace kv
