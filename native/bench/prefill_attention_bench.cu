// Checks the prefill kernels of a fatbin against a plain double-precision reference, then times them.
//
//   nvcc -O3 -std=c++20 -cudart static -I.. -o prefill_attention_bench prefill_attention_bench.cu
//     ../kernels/prefill_attention/prefill_attention_cuda.cpp ../memory/cuda_driver.cpp ../memory/error.cpp -ldl
//   ./prefill_attention_bench ../build/kv.fatbin [check | time]
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/prefill_attention/prefill_attention_cuda.h"

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
  explicit BenchStream(const char* fatbin) {
    cudaDeviceProp found;
    CHECK(cudaGetDeviceProperties(&found, 0));
    properties_.compute_capability = found.major * 10 + found.minor;
    properties_.num_multiprocessors = found.multiProcessorCount;
    CHECK(cudaLibraryLoadFromFile(&library_, fatbin, nullptr, nullptr, 0, nullptr, nullptr, 0));
  }
  const DeviceProperties& properties() const override { return properties_; }
  void launch(const KernelCall& call) override {
    cudaKernel_t& kernel = kernels_[call.name];
    if (kernel == nullptr) {
      CHECK(cudaLibraryGetKernel(&kernel, library_, call.name));
      if (call.shared_bytes > 48 * 1024) {
        CHECK(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(call.shared_bytes)));
      }
    }
    void* params[] = {const_cast<void*>(call.params)};
    CHECK(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(call.num_thread_blocks[0]),
                           dim3(call.num_threads), params, call.shared_bytes, nullptr));
  }
  void fill(void* to, uint8_t value, size_t bytes) override { CHECK(cudaMemsetAsync(to, value, bytes, nullptr)); }
  void copy(void*, const void*, size_t) override {}
  void upload(void*, const void*, size_t) override {}
  void download(void*, const void*, size_t) override {}
  void* workspace(size_t bytes) override {
    if (bytes > workspace_bytes_) {
      CHECK(cudaMalloc(&workspace_, bytes));
      CHECK(cudaMemset(workspace_, 0xff, bytes));
      workspace_bytes_ = bytes;
    }
    return workspace_;
  }
  void record(Event&) override {}
  void wait(Event&) override {}
  void synchronize() override { CHECK(cudaDeviceSynchronize()); }
  bool is_idle() override { return true; }
  void when_done(std::function<void(std::exception_ptr)>) override {}

 protected:
  void begin_recording() override {}
  std::unique_ptr<Recording> end_recording() override { return nullptr; }
  void abandon_recording() noexcept override {}

 private:
  DeviceProperties properties_;
  cudaLibrary_t library_ = nullptr;
  std::map<std::string, cudaKernel_t> kernels_;
  void* workspace_ = nullptr;
  size_t workspace_bytes_ = 0;
};

struct Case {
  std::string name;
  std::vector<int32_t> query_lengths;
  std::vector<int32_t> prefix_lengths;
  int32_t num_query_heads = 32;
  int32_t num_kv_heads = 8;
  int32_t key_dim = 128;
  int32_t value_dim = 128;
  int32_t tokens_per_block = 64;  // 0: contiguous
  Dtype dtype = Dtype::bf16;
  int32_t window_tokens = 0;
  float soft_cap = 0;
  bool has_sinks = false;
  bool has_absent_block = false;
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

/// Makes tokens of the sequences; a token's numbers depend on its sequence, position, head and column alone.
__global__ void fill_tokens(PrefillAttentionParams p, KvPlane plane, int32_t width, uint64_t seed) {
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

/// Squares of error and of the reference, of one row of a head a thread block; the sum of squares is added up on the
/// host.
__global__ void compare(PrefillAttentionParams p, const int32_t* rows, double* squares) {
  extern __shared__ double shared[];
  const int32_t token = rows[blockIdx.x] / p.num_query_heads;
  const int32_t head = rows[blockIdx.x] % p.num_query_heads;
  int32_t sequence = 0;
  while (sequence + 1 < p.batch && p.query_begin(sequence + 1) <= token) ++sequence;
  const int64_t length = p.length_of(sequence);
  const int64_t position = length - p.query_length_of(sequence) + token - p.query_begin(sequence);
  const int32_t kv_head = head / p.query_heads_per_kv_head();
  const std::byte* query = p.query + p.row_of(token, head) * p.key_dim * element_bytes(p.query_dtype);
  double* logits = shared;
  double maximum = p.sinks == nullptr ? -INFINITY : p.sinks[head];
  for (int64_t at = threadIdx.x; at <= position; at += blockDim.x) {
    const int64_t block = p.block_of(sequence, at);
    double logit = -INFINITY;
    if (at >= p.window_begin(position) && block >= 0) {
      const std::byte* key = p.view.keys.head(block, at % p.view.tokens_per_block, kv_head);
      double dot = 0;
      for (int32_t i = 0; i < p.key_dim; ++i) {
        dot += static_cast<double>(load_element(p.query_dtype, query, i)) * load_element(p.cache_dtype, key, i);
      }
      logit = dot * p.softmax_scale;
      if (p.soft_cap != 0) logit = p.soft_cap * tanh(logit / p.soft_cap);
    }
    logits[at] = logit;
  }
  __syncthreads();
  for (int64_t at = 0; at <= position; ++at) maximum = fmax(maximum, logits[at]);
  double sum = p.sinks == nullptr ? 0 : exp(p.sinks[head] - maximum);
  for (int64_t at = 0; at <= position; ++at) sum += maximum == -INFINITY ? 0 : exp(logits[at] - maximum);
  double error = 0;
  double size = 0;
  for (int32_t i = threadIdx.x; i < p.value_dim; i += blockDim.x) {
    double output = 0;
    for (int64_t at = 0; at <= position; ++at) {
      if (logits[at] == -INFINITY) continue;
      const std::byte* value = p.view.values.head(p.block_of(sequence, at), at % p.view.tokens_per_block, kv_head);
      output += exp(logits[at] - maximum) / sum * load_element(p.cache_dtype, value, i);
    }
    const std::byte* row = p.output + p.row_of(token, head) * p.value_dim * element_bytes(p.output_dtype);
    const double difference = load_element(p.output_dtype, row, i) - output;
    error += difference * difference;
    size += output * output;
  }
  atomicAdd(&squares[0], error);
  atomicAdd(&squares[1], size);
  if (threadIdx.x == 0) {
    const double expected = maximum == -INFINITY ? -INFINITY : maximum + log(sum);
    const double got = p.log_sum_exp[p.row_of(token, head)];
    const double off = expected == got ? 0 : fabs(expected - got);
    if (!(off < 1e-2)) atomicAdd(&squares[2], 1.0);
  }
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

/// All memory of a case on the device; freed when the process ends a case.
struct Problem {
  Case shape;
  PrefillAttentionParams p{};
  std::vector<void*> owned;

  explicit Problem(const Case& c) : shape(c) {
    const int32_t batch = static_cast<int32_t>(c.query_lengths.size());
    const int32_t bytes = element_bytes(c.dtype);
    std::vector<int32_t> offsets{0};
    std::vector<int32_t> lengths;
    int32_t longest = 1;
    for (int32_t i = 0; i < batch; ++i) {
      offsets.push_back(offsets.back() + c.query_lengths[i]);
      lengths.push_back(c.query_lengths[i] + c.prefix_lengths[i]);
      longest = std::max(longest, lengths.back());
    }
    const bool is_paged = c.tokens_per_block != 0;
    p.view.tokens_per_block = is_paged ? c.tokens_per_block : longest + 5;
    p.max_blocks = (longest + p.view.tokens_per_block - 1) / p.view.tokens_per_block;
    p.view.num_blocks = is_paged ? int64_t{batch} * p.max_blocks + 3 : batch;
    p.view.num_kv_heads = c.num_kv_heads;
    p.view.keys = plane(c.key_dim * bytes);
    p.view.values = plane(c.value_dim * bytes);
    if (is_paged) {
      std::vector<int32_t> tables(static_cast<size_t>(batch) * p.max_blocks);
      std::iota(tables.begin(), tables.end(), 2);
      std::shuffle(tables.begin(), tables.end(), std::mt19937(7));
      if (c.has_absent_block) tables[tables.size() / 2] = -1;
      p.block_tables = keep(on_device(tables));
    }
    p.batch = batch;
    p.num_query_tokens = offsets.back();
    p.num_query_heads = c.num_query_heads;
    p.key_dim = c.key_dim;
    p.value_dim = c.value_dim;
    p.window_tokens = c.window_tokens;
    p.softmax_scale = 1.0f / std::sqrt(static_cast<float>(c.key_dim));
    p.soft_cap = c.soft_cap;
    p.cache_dtype = p.query_dtype = p.output_dtype = c.dtype;
    p.query_offsets = keep(on_device(offsets));
    p.sequence_lengths = keep(on_device(lengths));
    if (c.has_sinks) {
      std::vector<float> sinks(c.num_query_heads);
      for (size_t i = 0; i < sinks.size(); ++i) sinks[i] = 0.3f * static_cast<float>(i % 7);
      p.sinks = keep(on_device(sinks));
    }
    const int64_t rows = int64_t{p.num_query_tokens} * p.num_query_heads;
    std::byte* query = keep(poisoned(rows * c.key_dim * bytes));
    fill_random<<<1024, 256>>>(query, rows * c.key_dim, c.dtype, 11);
    p.query = query;
    p.output = keep(poisoned(rows * c.value_dim * bytes));
    p.log_sum_exp = reinterpret_cast<float*>(keep(poisoned(rows * 4)));
    const dim3 grid(longest, batch);
    fill_tokens<<<grid, 128>>>(p, p.view.keys, c.key_dim, 1);
    fill_tokens<<<grid, 128>>>(p, p.view.values, c.value_dim, 2);
    CHECK(cudaDeviceSynchronize());
  }
  ~Problem() {
    for (void* each : owned) cudaFree(each);
  }

  template <typename T>
  T* keep(T* memory) {
    owned.push_back(memory);
    return memory;
  }

  KvPlane plane(int32_t head_bytes) {
    const int64_t token = int64_t{head_bytes} * p.view.num_kv_heads;
    const int64_t block = token * p.view.tokens_per_block;
    return {keep(poisoned(block * p.view.num_blocks)), block, token, head_bytes, head_bytes};
  }

  double flop() const {
    double pairs = 0;
    for (size_t i = 0; i < shape.query_lengths.size(); ++i) {
      const double n = shape.query_lengths[i];
      pairs += n * shape.prefix_lengths[i] + n * (n + 1) / 2;
    }
    return pairs * shape.num_query_heads * 2.0 * (shape.key_dim + shape.value_dim);
  }
};

const char* name_of(PrefillKernel kernel) {
  return kernel == PrefillKernel::plain ? "plain" : kernel == PrefillKernel::mma ? "mma" : "wgmma";
}

size_t output_bytes(const PrefillAttentionParams& p) {
  return size_t{1} * p.num_query_tokens * p.num_query_heads * p.value_dim * element_bytes(p.output_dtype);
}

std::vector<std::byte> output_of(const PrefillAttentionParams& p) {
  std::vector<std::byte> bytes(output_bytes(p));
  CHECK(cudaMemcpy(bytes.data(), p.output, bytes.size(), cudaMemcpyDeviceToHost));
  return bytes;
}

int num_failed = 0;

void check(const Case& c, BenchStream& stream) {
  Problem problem(c);
  const PrefillAttentionParams& p = problem.p;
  const int64_t num_rows = int64_t{p.num_query_tokens} * p.num_query_heads;
  std::vector<int32_t> rows;
  std::mt19937 random(3);
  for (int i = 0; i < 600; ++i) rows.push_back(static_cast<int32_t>(random() % num_rows));
  rows.push_back(0);
  rows.push_back(static_cast<int32_t>(num_rows - 1));
  const int32_t* sampled = problem.keep(on_device(rows));
  double* squares = problem.keep(on_device(std::vector<double>(3)));
  for (const PrefillKernel kernel : {PrefillKernel::plain, PrefillKernel::mma, PrefillKernel::wgmma}) {
    if (!can_run(kernel, p, stream.properties().compute_capability)) continue;
    CHECK(cudaMemset(p.output, 0xff, output_bytes(p)));
    CHECK(cudaMemset(p.log_sum_exp, 0xff, num_rows * 4));
    CHECK(cudaMemset(squares, 0, 24));
    launch_prefill_attention(kernel, p, stream);
    CHECK(cudaDeviceSynchronize());
    const auto first = output_of(p);
    CHECK(cudaFuncSetAttribute(compare, cudaFuncAttributeMaxDynamicSharedMemorySize, 200 * 1024));
    compare<<<static_cast<unsigned>(rows.size()), 128, 200 * 1024>>>(p, sampled, squares);
    double sums[3];
    CHECK(cudaMemcpy(sums, squares, sizeof sums, cudaMemcpyDeviceToHost));
    launch_prefill_attention(kernel, p, stream);
    CHECK(cudaDeviceSynchronize());
    const bool is_repeatable = first == output_of(p);
    const double error = std::sqrt(sums[0] / std::max(sums[1], 1e-30));
    const double allowed = c.dtype == Dtype::bf16 ? 8e-3 : c.dtype == Dtype::fp16 ? 1e-3 : 1e-5;
    // Query tokens of a fresh prefill, and of one whose first part was there already, are equal to the bit.
    bool is_equal_on_hit = true;
    if (c.query_lengths.size() == 1 && c.query_lengths[0] > 40) {
      PrefillAttentionParams hit = p;
      const int32_t skipped = c.query_lengths[0] / 3 + 1;
      const std::vector<int32_t> offsets{0, c.query_lengths[0] - skipped};
      hit.num_query_tokens = offsets[1];
      int32_t* device_offsets = problem.keep(on_device(offsets));
      hit.query_offsets = device_offsets;
      hit.query = p.query + size_t{1} * skipped * p.num_query_heads * p.key_dim * element_bytes(p.query_dtype);
      CHECK(cudaMemset(p.output, 0xff, output_bytes(p)));
      launch_prefill_attention(kernel, hit, stream);
      CHECK(cudaDeviceSynchronize());
      const auto second = output_of(hit);
      is_equal_on_hit = std::equal(second.begin(), second.end(), first.end() - second.size());
    }
    const bool is_right = error < allowed && sums[2] == 0 && is_repeatable && is_equal_on_hit;
    num_failed += is_right ? 0 : 1;
    std::printf("%-34s %-6s error %.2e  wrong log-sum-exp %4.0f  %s%s%s\n", c.name.c_str(), name_of(kernel), error,
                sums[2], is_repeatable ? "" : "NOT REPEATABLE ", is_equal_on_hit ? "" : "DIFFERS ON HIT ",
                is_right ? "ok" : "WRONG");
    std::fflush(stdout);
  }
}

void time_case(const Case& c, BenchStream& stream) {
  Problem problem(c);
  for (const PrefillKernel kernel : {PrefillKernel::mma, PrefillKernel::wgmma}) {
    if (!can_run(kernel, problem.p, stream.properties().compute_capability)) continue;
    const int repeats = kernel == PrefillKernel::mma ? 3 : 10;
    std::vector<float> times;
    for (int i = -2; i < repeats; ++i) {
      cudaEvent_t start, end;
      CHECK(cudaEventCreate(&start));
      CHECK(cudaEventCreate(&end));
      CHECK(cudaEventRecord(start));
      launch_prefill_attention(kernel, problem.p, stream);
      CHECK(cudaEventRecord(end));
      CHECK(cudaEventSynchronize(end));
      float milliseconds = 0;
      CHECK(cudaEventElapsedTime(&milliseconds, start, end));
      if (i >= 0) times.push_back(milliseconds);
    }
    std::sort(times.begin(), times.end());
    const float median = times[times.size() / 2];
    std::printf("%-34s %-6s %9.3f ms  %7.1f TFLOP/s  (fastest %.1f)\n", c.name.c_str(), name_of(kernel), median,
                problem.flop() / median * 1e-9, problem.flop() / times[0] * 1e-9);
    std::fflush(stdout);
  }
}

std::vector<Case> checks() {
  std::vector<Case> all;
  for (const Dtype dtype : {Dtype::bf16, Dtype::fp16}) {
    const std::string type = dtype == Dtype::bf16 ? "bf16 " : "fp16 ";
    for (const auto [key, value] :
         {std::pair{128, 128}, {64, 64}, {192, 128}, {256, 256}, {80, 80}, {96, 96}, {192, 192}, {64, 128}}) {
      const std::string widths = type + std::to_string(key) + "/" + std::to_string(value);
      all.push_back({widths + " 1 x 1000", {1000}, {0}, 8, 2, key, value, 64, dtype});
      all.push_back({widths + " ragged", {1, 130, 0, 257, 64}, {300, 0, 17, 129, 1}, 4, 4, key, value, 16, dtype});
    }
  }
  all.push_back({"contiguous", {700, 300}, {0, 211}, 8, 2, 128, 128, 0});
  all.push_back({"blocks of 8", {333}, {100}, 8, 2, 128, 128, 8});
  all.push_back({"blocks of 512", {333}, {1000}, 8, 2, 128, 128, 512});
  all.push_back({"blocks of 192", {333}, {1000}, 8, 1, 128, 128, 192});
  all.push_back({"blocks of 1", {333}, {100}, 8, 2, 128, 128, 1});
  all.push_back({"blocks of 48", {333}, {100}, 8, 2, 128, 128, 48});
  all.push_back({"window 100", {900}, {500}, 8, 2, 128, 128, 16, Dtype::bf16, 100});
  all.push_back({"window 1", {300}, {500}, 8, 2, 128, 128, 16, Dtype::bf16, 1});
  all.push_back({"soft cap", {900}, {0}, 8, 2, 128, 128, 64, Dtype::bf16, 0, 2.f});
  all.push_back({"sinks", {900}, {0}, 8, 2, 128, 128, 64, Dtype::bf16, 0, 0, true});
  all.push_back({"sinks window cap fp16 64", {600, 5}, {77, 900}, 8, 8, 64, 64, 32, Dtype::fp16, 64, 3.f, true});
  all.push_back({"absent block", {900}, {100}, 8, 2, 128, 128, 16, Dtype::bf16, 0, 0, false, true});
  all.push_back({"absent block 256", {900}, {100}, 8, 2, 256, 256, 16, Dtype::bf16, 0, 0, false, true});
  all.push_back({"fp32", {300, 5}, {77, 300}, 4, 2, 128, 128, 16, Dtype::fp32});
  all.push_back({"too short", {300}, {-200}, 4, 2, 128, 128, 16, Dtype::bf16});
  all.push_back({"long", {2048}, {14000}, 8, 2, 128, 128, 64});
  std::vector<int32_t> lengths(512), prefixes(512);
  for (int i = 0; i < 512; ++i) lengths[i] = 1 + i % 9 * 7, prefixes[i] = i % 50;
  all.push_back({"batch of 512", lengths, prefixes, 4, 2, 128, 128, 16});
  return all;
}

std::vector<Case> timings() {
  return {
      {"1 x 32K, blocks of 64", {32768}, {0}},
      {"1 x 32K, contiguous", {32768}, {0}, 32, 8, 128, 128, 0},
      {"1 x 8K, blocks of 64", {8192}, {0}},
      {"1 x 8K, blocks of 16", {8192}, {0}, 32, 8, 128, 128, 16},
      {"8 x 4K, blocks of 64", std::vector<int32_t>(8, 4096), std::vector<int32_t>(8, 0)},
      {"1K on 31K, blocks of 64", {1024}, {31744}},
      {"1 x 8K width 64, 14/2 heads", {8192}, {0}, 14, 2, 64, 64, 64},
      {"1 x 8K width 192/128", {8192}, {0}, 32, 8, 192, 128, 64},
      {"1 x 8K width 256", {8192}, {0}, 16, 8, 256, 256, 64},
  };
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::printf("usage: %s FATBIN [check | time | one]\n", arguments[0]);
    return 2;
  }
  const std::string what = count > 2 ? arguments[2] : "all";
  BenchStream stream(arguments[1]);
  if (what == "all" || what == "check") {
    for (const Case& each : checks()) check(each, stream);
    std::printf("%d failed\n", num_failed);
  }
  if (what == "all" || what == "time") {
    for (const Case& each : timings()) time_case(each, stream);
  }
  if (what == "one") time_case(timings()[2], stream);
  return num_failed == 0 ? 0 : 1;
}
