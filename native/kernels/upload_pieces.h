#pragma once
#include <algorithm>
#include <span>

#include "memory/backend.h"

namespace kv {

/// Uploads a list that a kernel reads. The driver takes copies of up to 64 KiB from ordinary memory at once; longer
/// ones would wait for all work queued on the stream before.
inline void upload_in_pieces(Stream& stream, std::byte* to, std::span<const std::byte> from) {
  constexpr size_t piece_bytes = 65536;
  for (size_t done = 0; done < from.size(); done += piece_bytes) {
    stream.upload(to + done, from.data() + done, std::min(piece_bytes, from.size() - done));
  }
}

}  // namespace kv
