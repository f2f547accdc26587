#include "kernels/read_memory/read_memory_host.h"

#include <algorithm>
#include <iterator>

#include "kernels/host/target.h"

namespace kv {
namespace {

constexpr int64_t kWordsPerItem = int64_t{1} << 18;
constexpr int64_t kWordsPerLine = 16;
// The processor's own prefetching alone reads a fifth less.
constexpr int64_t kWordsAhead = 256;

/// Without a way out of the loop, so that the compiler makes vectors of it.
bool has_word(const uint32_t* words, int64_t num_words, uint32_t wanted) {
  uint32_t is_equal[kWordsPerLine] = {};
  int64_t i = 0;
  for (; i + kWordsPerLine <= num_words; i += kWordsPerLine) {
    KV_PREFETCH(words + std::min(i + kWordsAhead, num_words - 1));
    for (int64_t j = 0; j < kWordsPerLine; ++j) is_equal[j] |= words[i + j] == wanted ? 1u : 0u;
  }
  for (; i < num_words; ++i) is_equal[0] |= words[i] == wanted ? 1u : 0u;
  return std::any_of(std::begin(is_equal), std::end(is_equal), [](uint32_t each) { return each != 0; });
}

}  // namespace

void ReadMemoryHost::run() noexcept {
  const int64_t num_words = kWordsPerVector * p_.num_vectors;
  std::atomic<bool> is_found = false;
  threads_->run((num_words + kWordsPerItem - 1) / kWordsPerItem, [&](int64_t item, int) {
    const int64_t first = item * kWordsPerItem;
    if (has_word(p_.words + first, std::min(kWordsPerItem, num_words - first), p_.wanted)) is_found = true;
  });
  if (is_found) *p_.found = 1;
}

}  // namespace kv
