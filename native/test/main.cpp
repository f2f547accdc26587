#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace {

/// Ends a test that hangs, so that it is known which.
struct Watchdog : doctest::IReporter {
  static constexpr unsigned kSeconds = 300;  // slow machines under the thread sanitizer included

  explicit Watchdog(const doctest::ContextOptions&) {
    std::signal(SIGALRM, [](int) { std::raise(SIGTERM); });
  }
  void test_case_start(const doctest::TestCaseData&) override { alarm(kSeconds); }
  void test_case_reenter(const doctest::TestCaseData&) override { alarm(kSeconds); }
  void test_case_end(const doctest::CurrentTestCaseStats&) override { alarm(0); }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
DOCTEST_REGISTER_LISTENER("watchdog", 1, Watchdog);

}  // namespace

int main(int count, char** arguments) {
  setenv("KV_LIBCUDA", KV_FAKE_LIBCUDA, 1);
  return doctest::Context(count, arguments).run();
}
