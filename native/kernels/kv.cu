// All kernels as one unit, so that one image holds them.
#include "kernels/append/append.cu"
#include "kernels/copy_blocks/copy_blocks.cu"
