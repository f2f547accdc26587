// Checks the decode kernels of a fatbin against a plain double-precision reference, then times them beside a kernel
// that only reads.
//
//   nvcc -O3 -std=c++20 -cudart static -I.. -o decode_attention_bench decode_attention_bench.cu
//     ../kernels/decode_attention/decode_attention_cuda.cpp ../memory/cuda_driver.cpp ../memory/error.cpp -ldl
//   ./decode_attention_bench ../build/kv.fatbin [check | few | time | apart | one]
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/decode_attention/decode_attention_cuda.h"

#define CHECK(call)                                                                    \
  do {                                                                                 \
    const cudaError_t result_ = (call);                                                \
    if (result_ != cudaSuccess) {                                                      \
      std::printf("%s: %s (line %d)\n", #call, cudaGetErrorString(result_), __LINE__); \
      std::exit(1);                                                                    \
    }                                                                                  \
  } while (0)

namespace {

using namespace kv;

/// A stream that launches the kernels of a fatbin by name.
class BenchStream : public Stream {
 public:
  BenchStream(const char* fatbin, bool is_apart) : is_apart_(is_apart) {
    cudaDeviceProp found;
    CHECK(cudaGetDeviceProperties(&found, 0));
    properties_.compute_capability = found.major * 10 + found.minor;
    properties_.num_multiprocessors = found.multiProcessorCount;
    properties_.description = found.name;
    CHECK(cudaLibraryLoadFromFile(&library_, fatbin, nullptr, nullptr, 0, nullptr, nullptr, 0));
    CHECK(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking));
  }
  const DeviceProperties& properties() const override { return properties_; }
  cudaStream_t handle() const { return handle_; }
  void launch(const KernelCall& call) override {
    cudaKernel_t& kernel = kernels_[call.name];
    if (kernel == nullptr) {
      CHECK(cudaLibraryGetKernel(&kernel, library_, call.name));
      if (call.shared_bytes > 32 * 1024) {
        CHECK(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(call.shared_bytes)));
      }
    }
    void* params[] = {const_cast<void*>(call.params)};
    cudaLaunchAttribute waits_itself{};
    waits_itself.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    waits_itself.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(call.num_thread_blocks[0]);
    config.blockDim = dim3(call.num_threads);
    config.dynamicSmemBytes = call.shared_bytes;
    config.stream = handle_;
    config.attrs = &waits_itself;
    config.numAttrs = call.waits_itself && !is_apart_ ? 1 : 0;
    CHECK(cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel), params));
  }
  void* workspace(size_t bytes) override {
    if (bytes > workspace_bytes_) {
      CHECK(cudaMalloc(&workspace_, bytes));
      CHECK(cudaMemset(workspace_, 0xff, bytes));
      CHECK(cudaDeviceSynchronize());
      workspace_bytes_ = bytes;
    }
    return workspace_;
  }
  void* counters(size_t bytes) override {
    if (bytes > counters_bytes_) {
      CHECK(cudaMalloc(&counters_, bytes));
      CHECK(cudaMemset(counters_, 0, bytes));
      CHECK(cudaDeviceSynchronize());
      counters_bytes_ = bytes;
    }
    return counters_;
  }
  void fill(void* to, uint8_t value, size_t bytes) override { CHECK(cudaMemsetAsync(to, value, bytes, handle_)); }
  void copy(void*, const void*, size_t) override {}
  void upload(void*, const void*, size_t) override {}
  void download(void*, const void*, size_t) override {}
  void record(Event&) override {}
  void wait(Event&) override {}
  void synchronize() override { CHECK(cudaStreamSynchronize(handle_)); }
  bool is_idle() override { return true; }
  void when_done(std::function<void(std::exception_ptr)>) override {}

 protected:
  void begin_recording() override {}
  std::unique_ptr<Recording> end_recording() override { return nullptr; }
  void abandon_recording() noexcept override {}

 private:
  DeviceProperties properties_;
  cudaLibrary_t library_ = nullptr;
  const bool is_apart_;
  cudaStream_t handle_ = nullptr;
  std::map<std::string, cudaKernel_t> kernels_;
  void* workspace_ = nullptr;
  size_t workspace_bytes_ = 0;
  void* counters_ = nullptr;
  size_t counters_bytes_ = 0;
};

struct Case {
  std::string name;
  std::vector<int32_t> lengths;
  int32_t query_length = 1;
  int32_t num_query_heads = 32;
  int32_t num_kv_heads = 8;
  int32_t key_dim = 128;
  int32_t value_dim = 128;
  int32_t tokens_per_block = 16;  // 0: contiguous
  Dtype dtype = Dtype::bf16;
  int32_t window_tokens = 0;
  float soft_cap = 0;
  bool has_sinks = false;
  bool has_slopes = false;
  bool has_masks = false;
  bool has_absent_block = false;
  bool has_one_length = false;
  Dtype query_dtype = Dtype::bf16;
  int32_t stride_padding = 0;  // bytes between heads
};

__device__ float random_value(uint64_t index, uint64_t seed) {
  uint64_t x = (index + 1) * 0x9e3779b97f4a7c15ull + seed * 0xd1342543de82ef95ull;
  float sum = 0;
  for (int i = 0; i < 4; ++i) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ull;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebull;
    x ^= x >> 31;
    sum += static_cast<float>(x >> 40) * 0x1p-24f - 0.5f;
  }
  return sum * 1.7320508f;
}

__global__ void fill_random(std::byte* to, int64_t count, Dtype dtype, uint64_t seed) {
  for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x) {
    store_element(dtype, to, i, random_value(i, seed));
  }
}

/// Makes tokens of the sequences; everything else stays poison.
__global__ void fill_tokens(DecodeAttentionParams p, KvPlane plane, int32_t width, uint64_t seed) {
  const int64_t sequence = blockIdx.y;
  const int64_t position = blockIdx.x;
  if (position >= p.length_of(sequence)) return;
  const int64_t block = p.block_of(sequence, position);
  if (block < 0) return;
  for (int32_t i = threadIdx.x; i < p.view.num_kv_heads * width; i += blockDim.x) {
    std::byte* row = plane.head(block, position % p.view.tokens_per_block, i / width);
    const uint64_t index = ((sequence << 20 | position) << 8 | i / width) << 9 | i % width;
    store_element(p.cache_dtype, row, i % width, random_value(index, seed));
  }
}

/// Squares of error and of the reference, wrong log-sum-exps and elements that are not numbers; a thread block a row.
__global__ void compare(DecodeAttentionParams p, const int32_t* rows, double* logits_of_rows, double* squares) {
  const int64_t row = rows[blockIdx.x];
  const int32_t head = row % p.num_query_heads;
  const int32_t query_token = row / p.num_query_heads % p.query_length;
  const int64_t sequence = row / p.num_query_heads / p.query_length;
  const int64_t length = p.length_of(sequence);
  const int64_t query_position = length - p.query_length + query_token;
  const int32_t kv_head = head / p.query_heads_per_kv_head();
  const std::byte* query = p.query + row * p.key_dim * element_bytes(p.query_dtype);
  double* logits = logits_of_rows + blockIdx.x * p.capacity();
  for (int64_t at = threadIdx.x; at < length; at += blockDim.x) {
    const int64_t block = p.block_of(sequence, at);
    double logit = -INFINITY;
    if (block >= 0 && p.sees(sequence, length, query_token, at)) {
      const std::byte* key = p.view.keys.head(block, at % p.view.tokens_per_block, kv_head);
      double dot = 0;
      for (int32_t i = 0; i < p.key_dim; ++i) {
        dot += static_cast<double>(load_element(p.query_dtype, query, i)) * load_element(p.cache_dtype, key, i);
      }
      logit = dot * p.softmax_scale;
      if (p.soft_cap != 0) logit = p.soft_cap * tanh(logit / p.soft_cap);
      if (p.alibi_slopes != nullptr) logit += static_cast<double>(p.alibi_slopes[head]) * (at - query_position);
    }
    logits[at] = logit;
  }
  __syncthreads();
  double maximum = p.sinks == nullptr ? -INFINITY : p.sinks[head];
  for (int64_t at = 0; at < length; ++at) maximum = fmax(maximum, logits[at]);
  double sum = p.sinks == nullptr ? 0 : exp(p.sinks[head] - maximum);
  for (int64_t at = 0; at < length; ++at) sum += maximum == -INFINITY ? 0 : exp(logits[at] - maximum);
  double error = 0;
  double size = 0;
  for (int32_t i = threadIdx.x; i < p.value_dim; i += blockDim.x) {
    double output = 0;
    for (int64_t at = 0; at < length; ++at) {
      if (logits[at] == -INFINITY) continue;
      const std::byte* value = p.view.values.head(p.block_of(sequence, at), at % p.view.tokens_per_block, kv_head);
      output += exp(logits[at] - maximum) / sum * load_element(p.cache_dtype, value, i);
    }
    const std::byte* to = p.output + row * p.value_dim * element_bytes(p.output_dtype);
    const double difference = load_element(p.output_dtype, to, i) - output;
    if (!(fabs(difference) < 0.5)) atomicAdd(&squares[3], 1.0);
    error += difference * difference;
    size += output * output;
  }
  atomicAdd(&squares[0], error);
  atomicAdd(&squares[1], size);
  if (threadIdx.x == 0) {
    const double expected = maximum == -INFINITY ? -INFINITY : maximum + log(sum);
    const double got = p.log_sum_exp[row];
    const double off = expected == got ? 0 : fabs(expected - got);
    if (!(off < 1e-4)) atomicAdd(&squares[2], 1.0);
  }
}

/// The most that a kernel can read: every thread sixteen words at a time.
__global__ void __launch_bounds__(512) read_only(const uint4* from, int64_t count, uint32_t* never) {
  constexpr int kLoads = 8;
  uint32_t bits = 0;
  for (int64_t i = (blockIdx.x * int64_t{blockDim.x}) * kLoads + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * blockDim.x * kLoads) {
    uint4 words[kLoads];
#pragma unroll
    for (int j = 0; j < kLoads; ++j) {
      words[j] = i + j * blockDim.x < count ? __ldcs(from + i + j * blockDim.x) : uint4{0, 0, 0, 0};
    }
#pragma unroll
    for (int j = 0; j < kLoads; ++j) bits |= words[j].x ^ words[j].y ^ words[j].z ^ words[j].w;
  }
  if (bits == 0x12345678) *never = bits;
}

template <typename T>
T* on_device(const std::vector<T>& from) {
  T* to = nullptr;
  CHECK(cudaMalloc(&to, std::max<size_t>(from.size(), 1) * sizeof(T)));
  CHECK(cudaMemcpy(to, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice));
  return to;
}

std::byte* poisoned(size_t bytes) {
  void* to = nullptr;
  CHECK(cudaMalloc(&to, bytes));
  CHECK(cudaMemset(to, 0xff, bytes));  // a NaN in every type
  return static_cast<std::byte*>(to);
}

/// All memory of a case on the device.
struct Problem {
  Case shape;
  DecodeAttentionParams p{};
  std::vector<void*> owned;
  std::vector<const int32_t*> tables;  // of one copy of the sequences each, which share nothing

  Problem(const Case& c, int num_copies) : shape(c) {
    const int32_t batch = static_cast<int32_t>(c.lengths.size());
    const int32_t longest = *std::max_element(c.lengths.begin(), c.lengths.end());
    const bool is_paged = c.tokens_per_block != 0;
    p.view.tokens_per_block = is_paged ? c.tokens_per_block : longest + 5;
    p.max_blocks = std::max((longest + p.view.tokens_per_block - 1) / p.view.tokens_per_block, 1) + 1;
    p.view.num_kv_heads = c.num_kv_heads;
    make_tables(is_paged, batch, num_copies);
    p.view.keys = plane(c.key_dim);
    p.view.values = plane(c.value_dim);
    p.batch = batch;
    p.query_length = c.query_length;
    p.num_query_heads = c.num_query_heads;
    p.key_dim = c.key_dim;
    p.value_dim = c.value_dim;
    p.window_tokens = c.window_tokens;
    p.softmax_scale = 1.0f / std::sqrt(static_cast<float>(c.key_dim));
    p.soft_cap = c.soft_cap;
    p.cache_dtype = c.dtype;
    p.query_dtype = p.output_dtype = c.query_dtype;
    if (c.dtype == Dtype::fp16 && c.query_dtype == Dtype::bf16) p.query_dtype = p.output_dtype = c.dtype;
    if (c.dtype == Dtype::fp32) p.query_dtype = p.output_dtype = Dtype::fp32;
    p.sequence_length = c.lengths[0];
    if (!c.has_one_length) p.sequence_lengths = keep(on_device(c.lengths));
    const auto numbers = [&](float factor) {
      std::vector<float> all(c.num_query_heads);
      for (size_t i = 0; i < all.size(); ++i) all[i] = factor * static_cast<float>(i % 7);
      return keep(on_device(all));
    };
    if (c.has_sinks) p.sinks = numbers(0.3f);
    if (c.has_slopes) p.alibi_slopes = numbers(0.01f);
    if (c.has_masks) {
      std::vector<int32_t> masks(static_cast<size_t>(batch) * c.query_length);
      std::mt19937 random(5);
      for (auto& each : masks) each = static_cast<int32_t>(random());
      p.query_masks = keep(on_device(masks));
    }
    const int64_t rows = num_rows();
    std::byte* query = keep(poisoned(rows * c.key_dim * element_bytes(p.query_dtype)));
    fill_random<<<1024, 256>>>(query, rows * c.key_dim, p.query_dtype, 11);
    p.query = query;
    p.output = keep(poisoned(rows * c.value_dim * element_bytes(p.output_dtype)));
    p.log_sum_exp = reinterpret_cast<float*>(keep(poisoned(rows * 4)));
    const dim3 grid(std::max(longest, 1), batch);
    for (const int32_t* each : tables) {
      p.block_tables = each;
      fill_tokens<<<grid, 128>>>(p, p.view.keys, c.key_dim, 1);
      fill_tokens<<<grid, 128>>>(p, p.view.values, c.value_dim, 2);
    }
    p.block_tables = tables[0];
    CHECK(cudaDeviceSynchronize());
  }
  ~Problem() {
    for (void* each : owned) cudaFree(each);
  }

  int64_t num_rows() const { return p.row_of(p.batch, 0, 0); }

  void make_tables(bool is_paged, int32_t batch, int num_copies) {
    if (!is_paged) {
      p.view.num_blocks = batch;
      tables.push_back(nullptr);
      return;
    }
    const auto blocks_of = [&](int32_t length) {
      return (length + p.view.tokens_per_block - 1) / p.view.tokens_per_block;
    };
    int64_t owned_blocks = 0;
    for (const int32_t each : shape.lengths) owned_blocks += blocks_of(each);
    p.view.num_blocks = owned_blocks * num_copies + 3;
    std::vector<int32_t> blocks(p.view.num_blocks);
    std::iota(blocks.begin(), blocks.end(), 0);
    std::shuffle(blocks.begin(), blocks.end(), std::mt19937(7));
    size_t used = 0;
    for (int copy = 0; copy < num_copies; ++copy) {
      std::vector<int32_t> table(static_cast<size_t>(batch) * p.max_blocks, -1);
      for (int32_t i = 0; i < batch; ++i) {
        const int32_t count = blocks_of(shape.lengths[i]);
        for (int32_t j = 0; j < count; ++j) table[static_cast<size_t>(i) * p.max_blocks + j] = blocks[used++];
        if (shape.has_absent_block && count > 2)
          table[static_cast<size_t>(i) * p.max_blocks + count / 2] = i % 2 ? -1 : 1 << 30;
        table[static_cast<size_t>(i) * p.max_blocks + count] = blocks.back();
      }
      tables.push_back(keep(on_device(table)));
    }
  }

  template <typename T>
  T* keep(T* memory) {
    owned.push_back(const_cast<std::remove_const_t<T>*>(memory));
    return memory;
  }

  KvPlane plane(int32_t width) {
    const int32_t head_bytes = width * element_bytes(shape.dtype);
    const int64_t head = head_bytes + shape.stride_padding;
    const int64_t token = head * p.view.num_kv_heads;
    const int64_t block = token * p.view.tokens_per_block;
    return {keep(poisoned(block * p.view.num_blocks + 64)), block, token, head, head_bytes};
  }

  /// Of keys and values that are read.
  double bytes() const {
    double tokens = 0;
    for (const int32_t each : shape.lengths) tokens += each;
    return tokens * shape.num_kv_heads * (shape.key_dim + shape.value_dim) * element_bytes(shape.dtype);
  }
};

const char* name_of(DecodeKernel kernel) {
  return kernel == DecodeKernel::plain ? "plain" : "mma";
}

size_t output_bytes(const DecodeAttentionParams& p) {
  return static_cast<size_t>(p.row_of(p.batch, 0, 0)) * p.value_dim * element_bytes(p.output_dtype);
}

std::vector<std::byte> output_of(const DecodeAttentionParams& p) {
  std::vector<std::byte> bytes(output_bytes(p));
  CHECK(cudaMemcpy(bytes.data(), p.output, bytes.size(), cudaMemcpyDeviceToHost));
  return bytes;
}

int num_failed = 0;

/// Whether the sequences of a batch have the same bits alone.
bool is_independent(const Problem& problem, DecodeKernel kernel, const std::vector<std::byte>& all,
                    BenchStream& stream) {
  const DecodeAttentionParams& p = problem.p;
  if (p.sequence_lengths == nullptr) return true;
  bool is_equal = true;
  const size_t bytes = all.size() / p.batch;
  for (int32_t i = 0; i < p.batch; i += std::max(p.batch / 5, 1)) {
    DecodeAttentionParams alone = p;
    alone.batch = 1;
    alone.query = p.query + p.row_of(i, 0, 0) * p.key_dim * element_bytes(p.query_dtype);
    alone.sequence_lengths = p.sequence_lengths + i;
    if (p.block_tables != nullptr) {
      alone.block_tables = p.block_tables + int64_t{i} * p.max_blocks;
    } else {
      alone.view.keys.base += i * p.view.keys.block_stride_bytes;
      alone.view.values.base += i * p.view.values.block_stride_bytes;
      if (alone.view.values.block_stride_bytes % 16 != 0 && kernel == DecodeKernel::mma) continue;
    }
    if (p.query_masks != nullptr) alone.query_masks = p.query_masks + int64_t{i} * p.query_length;
    CHECK(cudaMemset(p.output, 0xff, bytes));
    launch_decode_attention(kernel, alone, stream);
    stream.synchronize();
    const auto got = output_of(alone);
    is_equal = is_equal && std::equal(got.begin(), got.end(), all.begin() + static_cast<ptrdiff_t>(i * bytes));
  }
  return is_equal;
}

void check(const Case& c, BenchStream& stream) {
  Problem problem(c, 1);
  DecodeAttentionParams& p = problem.p;
  const int64_t num_rows = problem.num_rows();
  std::vector<int32_t> rows;
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) rows.push_back(static_cast<int32_t>(random() % num_rows));
  rows.push_back(0);
  rows.push_back(static_cast<int32_t>(num_rows - 1));
  const int32_t* sampled = problem.keep(on_device(rows));
  double* squares = problem.keep(on_device(std::vector<double>(4)));
  double* logits = nullptr;
  CHECK(cudaMalloc(&logits, rows.size() * p.capacity() * sizeof(double)));
  problem.keep(logits);
  for (int variant = 0; variant < 4; ++variant) {
    const DecodeKernel kernel = variant < 2 ? DecodeKernel::plain : DecodeKernel::mma;
    if (!can_run(kernel, p, stream.properties().compute_capability)) continue;
    p.is_batch_invariant = variant % 2 == 1;
    CHECK(cudaMemset(p.output, 0xff, output_bytes(p)));
    CHECK(cudaMemset(p.log_sum_exp, 0xff, num_rows * 4));
    CHECK(cudaMemset(squares, 0, 32));
    CHECK(cudaDeviceSynchronize());
    launch_decode_attention(kernel, p, stream);
    CHECK(cudaDeviceSynchronize());
    const auto first = output_of(p);
    compare<<<static_cast<unsigned>(rows.size()), 128>>>(p, sampled, logits, squares);
    double sums[4];
    CHECK(cudaMemcpy(sums, squares, sizeof sums, cudaMemcpyDeviceToHost));
    launch_decode_attention(kernel, p, stream);
    CHECK(cudaDeviceSynchronize());
    const bool is_repeatable = first == output_of(p);
    const bool is_alike = !p.is_batch_invariant || is_independent(problem, kernel, first, stream);
    const double error = std::sqrt(sums[0] / std::max(sums[1], 1e-30));
    const double allowed = p.output_dtype == Dtype::bf16 || kernel == DecodeKernel::mma
                               ? (c.dtype == Dtype::bf16 ? 8e-3 : 1e-3)
                           : p.output_dtype == Dtype::fp16 ? 1e-3
                                                           : 1e-5;
    const bool is_right = error < allowed && sums[2] == 0 && sums[3] == 0 && is_repeatable && is_alike;
    num_failed += is_right ? 0 : 1;
    std::printf("%-44s %-6s%s error %.2e  wrong log-sum-exp %4.0f elements %4.0f  %s%s%s\n", c.name.c_str(),
                name_of(kernel), p.is_batch_invariant ? " invariant" : "", error, sums[2], sums[3],
                is_repeatable ? "" : "NOT REPEATABLE ", is_alike ? "" : "DEPENDS ON BATCH ",
                is_right ? "right" : "WRONG");
    std::fflush(stdout);
  }
}

std::vector<Case> few() {
  return {
      {.name = "few: paged", .lengths = {1, 130, 0, 700}, .num_query_heads = 8, .num_kv_heads = 2},
      {.name = "few: window, sinks, masks",
       .lengths = {1100, 3},
       .query_length = 3,
       .num_query_heads = 8,
       .num_kv_heads = 2,
       .window_tokens = 50,
       .soft_cap = 15,
       .has_sinks = true,
       .has_slopes = true,
       .has_masks = true},
      {.name = "few: 192/128 contiguous fp16",
       .lengths = {300, 17},
       .num_query_heads = 4,
       .num_kv_heads = 2,
       .key_dim = 192,
       .value_dim = 128,
       .tokens_per_block = 0,
       .dtype = Dtype::fp16,
       .has_absent_block = true},
      {.name = "few: fp32 256",
       .lengths = {600},
       .num_query_heads = 2,
       .num_kv_heads = 1,
       .key_dim = 256,
       .value_dim = 256,
       .dtype = Dtype::fp32},
  };
}

std::vector<Case> checks() {
  std::vector<Case> all = few();
  const std::vector<int32_t> ragged{1, 17, 0, 130, 64, 333, 1500, 513};
  for (const Dtype dtype : {Dtype::bf16, Dtype::fp16, Dtype::fp32}) {
    const std::string type = dtype == Dtype::bf16 ? "bf16" : dtype == Dtype::fp16 ? "fp16" : "fp32";
    for (const auto& [key, value] : std::vector<std::pair<int, int>>{
             {64, 64}, {80, 80}, {96, 96}, {128, 128}, {192, 128}, {192, 192}, {256, 256}, {64, 128}, {72, 40}}) {
      Case c{.name = type + " widths " + std::to_string(key) + "/" + std::to_string(value),
             .lengths = ragged,
             .num_query_heads = 8,
             .num_kv_heads = 2,
             .key_dim = key,
             .value_dim = value,
             .dtype = dtype};
      all.push_back(c);
      c.name += " all options";
      c.query_length = 5;
      c.num_query_heads = 12;
      c.window_tokens = 600;
      c.soft_cap = 15;
      c.has_sinks = c.has_slopes = c.has_masks = c.has_absent_block = true;
      all.push_back(c);
    }
  }
  for (const int32_t group : {1, 2, 3, 5, 7, 8, 12, 16}) {
    all.push_back(
        {.name = "group " + std::to_string(group), .lengths = ragged, .num_query_heads = 2 * group, .num_kv_heads = 2});
  }
  for (const int32_t tokens : {0, 1, 2, 5, 8, 64, 100, 512}) {
    all.push_back({.name = "blocks of " + std::to_string(tokens),
                   .lengths = {1100, 3, 513, 2049},
                   .num_query_heads = 8,
                   .num_kv_heads = 2,
                   .tokens_per_block = tokens});
  }
  for (const int32_t window : {1, 16, 100, 512, 513, 5000}) {
    all.push_back({.name = "window " + std::to_string(window),
                   .lengths = {1, 100, 1500, 0, 2048},
                   .query_length = 2,
                   .num_query_heads = 8,
                   .num_kv_heads = 2,
                   .window_tokens = window});
  }
  for (const int32_t query_length : {2, 3, 8, 15, 16}) {
    all.push_back({.name = "query length " + std::to_string(query_length),
                   .lengths = {16, 5, 0, 1300},
                   .query_length = query_length,
                   .num_query_heads = 16,
                   .num_kv_heads = 2});
    all.push_back({.name = "masks of query length " + std::to_string(query_length),
                   .lengths = {16, 5, 0, 1300},
                   .query_length = query_length,
                   .num_query_heads = 8,
                   .num_kv_heads = 2,
                   .has_masks = true});
  }
  all.push_back({.name = "100000 tokens", .lengths = {100000}, .num_query_heads = 2, .num_kv_heads = 1});
  all.push_back(
      {.name = "33000, 2 and 9000 tokens", .lengths = {33000, 2, 9000}, .num_query_heads = 8, .num_kv_heads = 2});
  Case more{.name = "20 of up to 9000"};
  for (int i = 0; i < 20; ++i) more.lengths.push_back(i * 5437 % 9000);
  all.push_back(more);
  more.name += ", window of 3000, masks";
  more.query_length = 2;
  more.window_tokens = 3000;
  more.has_masks = true;
  all.push_back(more);
  Case narrow{.name = "40 of up to 20000, heads of 64",
              .num_query_heads = 14,
              .num_kv_heads = 2,
              .key_dim = 64,
              .value_dim = 64};
  for (int i = 0; i < 40; ++i) narrow.lengths.push_back(i * 5437 % 20000);
  all.push_back(narrow);
  std::vector<int32_t> many(1500);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<int32_t>(i * 7919 % 1201);
  all.push_back({.name = "1500 sequences",
                 .lengths = many,
                 .num_query_heads = 4,
                 .num_kv_heads = 1,
                 .key_dim = 64,
                 .value_dim = 64});
  all.push_back({.name = "one length for all", .lengths = {700, 700}, .has_one_length = true});
  all.push_back({.name = "fp32 queries", .lengths = {700, 20}, .query_dtype = Dtype::fp32});
  all.push_back({.name = "heads apart by 32 bytes", .lengths = {700, 20}, .stride_padding = 32});
  all.push_back({.name = "heads apart by 1 byte", .lengths = {700, 20}, .num_query_heads = 8, .stride_padding = 1});
  return all;
}

double milliseconds(cudaStream_t stream, int count, const std::function<void(int)>& body) {
  cudaEvent_t start;
  cudaEvent_t end;
  CHECK(cudaEventCreate(&start));
  CHECK(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < 3 * count; ++i) body(i);  // the clocks rise only under load
  for (int round = 0; round < 5; ++round) {
    CHECK(cudaEventRecord(start, stream));
    for (int i = 0; i < count; ++i) body(i);
    CHECK(cudaEventRecord(end, stream));
    CHECK(cudaEventSynchronize(end));
    float time = 0;
    CHECK(cudaEventElapsedTime(&time, start, end));
    times.push_back(time / static_cast<float>(count));
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// Bytes per second.
double read_ceiling(BenchStream& stream) {
  const int64_t bytes = int64_t{4} << 30;
  std::byte* memory = poisoned(bytes);
  fill_random<<<4096, 256>>>(memory, bytes / 2, Dtype::bf16, 3);
  CHECK(cudaDeviceSynchronize());
  double best = 0;
  for (const int blocks : {2, 4}) {
    const double time = milliseconds(stream.handle(), 5, [&](int) {
      read_only<<<blocks * stream.properties().num_multiprocessors, 512, 0, stream.handle()>>>(
          reinterpret_cast<const uint4*>(memory), bytes / 16, reinterpret_cast<uint32_t*>(memory));
    });
    best = std::max(best, static_cast<double>(bytes) / time * 1e3);
  }
  CHECK(cudaFree(memory));
  return best;
}

void time_case(const Case& c, double ceiling, BenchStream& stream, bool is_batch_invariant) {
  double tokens = 0;
  for (const int32_t each : c.lengths) tokens += each;
  const double bytes = tokens * c.num_kv_heads * (c.key_dim + c.value_dim) * element_bytes(c.dtype);
  // Copies enough that what is read is not in the L2 cache from the last time.
  const int copies = bytes > 0.5e9 ? 1 : static_cast<int>(0.6e9 / bytes) + 1;
  const Problem problem(c, copies);
  const int count = std::max(copies, static_cast<int>(6e9 / problem.bytes()) + 1);
  const double time = milliseconds(stream.handle(), count, [&](int i) {
    DecodeAttentionParams p = problem.p;
    p.block_tables = problem.tables[static_cast<size_t>(i % copies)];
    p.is_batch_invariant = is_batch_invariant;
    launch_decode_attention(DecodeKernel::mma, p, stream);
  });
  const double rate = problem.bytes() / time * 1e3;
  std::printf("%-40s %8.1f us %8.1f MB %7.0f GB/s %5.1f %%\n", c.name.c_str(), time * 1e3, problem.bytes() / 1e6,
              rate / 1e9, 100 * rate / ceiling);
  std::fflush(stdout);
}

std::vector<Case> timings() {
  std::vector<int32_t> ragged(64);
  std::mt19937 random(9);
  for (auto& each : ragged) each = static_cast<int32_t>(random() % 16000) + 1;
  std::vector<int32_t> skewed(64, 512);
  skewed[20] = 131072;
  std::vector<Case> all;
  for (const int32_t tokens : {16, 64}) {
    const std::string of = ", blocks of " + std::to_string(tokens);
    all.push_back({.name = "16 x 8K" + of, .lengths = std::vector<int32_t>(16, 8192), .tokens_per_block = tokens});
    all.push_back({.name = "64 x 8K" + of, .lengths = std::vector<int32_t>(64, 8192), .tokens_per_block = tokens});
    all.push_back({.name = "256 x 1K" + of, .lengths = std::vector<int32_t>(256, 1024), .tokens_per_block = tokens});
    all.push_back({.name = "1 x 128K" + of, .lengths = {131072}, .tokens_per_block = tokens});
    all.push_back({.name = "64 ragged, 1 to 16000" + of, .lengths = ragged, .tokens_per_block = tokens});
    all.push_back({.name = "1 x 128K and 63 x 512" + of, .lengths = skewed, .tokens_per_block = tokens});
    all.push_back({.name = "1 x 8K" + of, .lengths = {8192}, .tokens_per_block = tokens});
    all.push_back({.name = "1 x 32K" + of, .lengths = {32768}, .tokens_per_block = tokens});
  }
  all.push_back({.name = "32 x 8K, 28/4 heads",
                 .lengths = std::vector<int32_t>(32, 8192),
                 .num_query_heads = 28,
                 .num_kv_heads = 4});
  all.push_back({.name = "128 x 8K, 14/2 heads of 64",
                 .lengths = std::vector<int32_t>(128, 8192),
                 .num_query_heads = 14,
                 .num_kv_heads = 2,
                 .key_dim = 64,
                 .value_dim = 64});
  return all;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::printf("usage: %s FATBIN [check | few | time | apart | one]\n", arguments[0]);
    return 2;
  }
  alarm(100);  // a kernel that hangs is not to hold the GPU
  const std::string what = count > 2 ? arguments[2] : "all";
  // "apart" times too, each launch only once the one before is done.
  BenchStream stream(arguments[1], what == "apart");
  if (what == "all" || what == "check" || what == "few") {
    for (const Case& each : what == "few" ? few() : checks()) check(each, stream);
    std::printf("%d failed\n", num_failed);
  }
  if (what == "all" || what == "time" || what == "apart") {
    const double ceiling = read_ceiling(stream);
    std::printf("%s, read-only ceiling %.0f GB/s\n", stream.properties().description.c_str(), ceiling / 1e9);
    for (const bool is_batch_invariant : {false, true}) {
      std::printf(is_batch_invariant ? "invariant\n" : "even\n");
      for (const Case& each : timings()) time_case(each, ceiling, stream, is_batch_invariant);
    }
  }
  if (what == "one") time_case(timings()[count > 3 ? std::atoi(arguments[3]) : 1], 1e12, stream, false);
  return num_failed == 0 ? 0 : 1;
}
