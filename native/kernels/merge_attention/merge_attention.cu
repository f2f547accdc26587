#include "kernels/merge_attention/merge_attention.h"

// A thread block takes rows a grid apart; each of its threads, elements of the row a thread block apart. Every thread
// works out the weights of the parts for itself: there are few of them, and they come from the cache.
extern "C" __global__ void merge_attention(const __grid_constant__ kv::MergeAttentionParams p) {
  const float infinity = __int_as_float(0x7f800000);
  for (int64_t row = blockIdx.x; row < p.num_rows; row += gridDim.x) {
    float greatest = -infinity;
    for (int32_t part = 0; part < p.num_parts; ++part) {
      greatest = fmaxf(greatest, p.log_sum_exps[part * p.num_rows + row]);
    }
    float denominator = 0;
    for (int32_t part = 0; part < p.num_parts && greatest > -infinity; ++part) {
      denominator += expf(p.log_sum_exps[part * p.num_rows + row] - greatest);
    }
    std::byte* output = p.output + row * p.width * kv::element_bytes(p.output_dtype);
    for (int32_t i = threadIdx.x; i < p.width; i += blockDim.x) {
      float sum = 0;
      for (int32_t part = 0; part < p.num_parts; ++part) {
        const float log_sum_exp = p.log_sum_exps[part * p.num_rows + row];
        if (log_sum_exp == -infinity) continue;
        const std::byte* from = p.parts + (part * p.num_rows + row) * p.width * kv::element_bytes(p.part_dtype);
        sum += expf(log_sum_exp - greatest) / denominator * kv::load_element(p.part_dtype, from, i);
      }
      kv::store_element(p.output_dtype, output, i, sum);
    }
    if (p.log_sum_exp != nullptr && threadIdx.x == 0) {
      p.log_sum_exp[row] = greatest + (denominator > 0 ? logf(denominator) : 0);
    }
  }
}
