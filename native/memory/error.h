#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace kv {

/// A number or a text that an error carries beside its message.
struct ErrorField {
  std::string name;
  std::variant<double, std::string> value;
};

/// A failure that JavaScript sees as a typed error: a stable code, a message, and the numbers as fields.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message, std::vector<ErrorField> fields = {})
      : std::runtime_error(message), code_(std::move(code)), fields_(std::move(fields)) {}

  const std::string& code() const noexcept { return code_; }
  const std::vector<ErrorField>& fields() const noexcept { return fields_; }

 private:
  std::string code_;
  std::vector<ErrorField> fields_;
};

Error invalid_argument(const std::string& argument, const std::string& problem);
Error out_of_bounds(const std::string& what, double offset_bytes, double length_bytes, double size_bytes);
Error out_of_memory(const std::string& device, size_t wanted_bytes, size_t free_bytes, size_t total_bytes);
Error device_not_found(const std::string& device, const std::string& available);
Error capture_error(const std::string& operation);
Error system_error(const std::string& call, const std::string& reason);

}  // namespace kv
