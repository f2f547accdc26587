// All kernels as one unit, so that one image holds them.
#include "kernels/append/append.cu"
#include "kernels/append_rotary/append_rotary.cu"
#include "kernels/copy_blocks/copy_blocks.cu"
#include "kernels/merge_attention/merge_attention.cu"
#include "kernels/prefill_attention/prefill_attention_mma.cu"
#include "kernels/prefill_attention/prefill_attention_plain.cu"
#include "kernels/prefill_attention/prefill_attention_wgmma.cu"
