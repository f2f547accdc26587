#include "memory/error.h"

#include <cstdio>

namespace kv {

Error invalid_argument(const std::string& argument, const std::string& problem) {
  return Error("INVALID_ARGUMENT", argument + ": " + problem, {{"argument", argument}});
}

Error out_of_bounds(const std::string& what, double offset_bytes, double length_bytes, double size_bytes) {
  // Products of what was asked for can be too large for any integer.
  auto text = [](double bytes) {
    char digits[64];
    std::snprintf(digits, sizeof digits, "%.0f", bytes);
    return std::string(digits);
  };
  return Error("OUT_OF_BOUNDS",
               what + ": " + text(length_bytes) + " bytes at offset " + text(offset_bytes) + " do not fit in " +
                   text(size_bytes) + " bytes",
               {{"offsetBytes", offset_bytes}, {"lengthBytes", length_bytes}, {"sizeBytes", size_bytes}});
}

Error out_of_memory(const std::string& device, size_t wanted_bytes, size_t free_bytes, size_t total_bytes) {
  return Error("OUT_OF_MEMORY",
               device + ": wanted " + std::to_string(wanted_bytes) + " bytes, " + std::to_string(free_bytes) + " of " +
                   std::to_string(total_bytes) + " are free; free something or ask for less",
               {{"device", device},
                {"wantedBytes", static_cast<double>(wanted_bytes)},
                {"freeBytes", static_cast<double>(free_bytes)},
                {"totalBytes", static_cast<double>(total_bytes)}});
}

Error device_not_found(const std::string& device, const std::string& available) {
  return Error("DEVICE_NOT_FOUND", "there is no device " + device + "; available: " + available,
               {{"device", device}, {"available", available}});
}

Error capture_error(const std::string& operation) {
  return Error("CAPTURE_ERROR", operation + " cannot be captured in a graph", {{"operation", operation}});
}

Error system_error(const std::string& call, const std::string& reason) {
  return Error("SYSTEM_ERROR", call + " failed: " + reason, {{"call", call}});
}

}  // namespace kv
