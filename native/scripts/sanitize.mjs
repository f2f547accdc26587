// Builds the native core and its tests under sanitizers and runs them:
//   node native/scripts/sanitize.mjs [address,undefined | thread]      both, one after the other, unless one is named
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const TESTS = ["kv_core_tests", "kv_fault_tests"];
// The tests ask for more memory than there is: the sanitizer's allocator must refuse, not abort.
const ENVIRONMENT = {
  ASAN_OPTIONS: "allocator_may_return_null=1:detect_leaks=1:max_allocation_size_mb=16384",
  UBSAN_OPTIONS: "print_stacktrace=1",
  TSAN_OPTIONS: "allocator_may_return_null=1:halt_on_error=1",
};

requireTool("cmake", "apt-get install -y cmake g++ doctest-dev");
const wanted = process.argv[2] === undefined ? ["address,undefined", "thread"] : [process.argv[2]];
const totals = { passed: 0, failed: 0, skipped: 0 };
for (const sanitizers of wanted) {
  const folder = build(sanitizers);
  for (const test of TESTS) run(path.join(folder, "test", test));
}
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`);
process.exitCode = totals.failed === 0 ? 0 : 1;

function build(sanitizers) {
  const folder = path.join(root, `build-${sanitizers.replace(",", "-")}`);
  const options = [
    `-DKV_SANITIZE=${sanitizers}`,
    "-DKV_TESTS=ON",
    "-DKV_NVCC_MODE=OFF",
    "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
  ];
  command("cmake", ["-S", root, "-B", folder, ...options]);
  command("cmake", ["--build", folder, "--parallel", String(availableParallelism()), "--target", ...TESTS]);
  return folder;
}

function command(name, args) {
  const { status } = spawnSync(name, args, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) process.exit(status ?? 1);
}

/** Runs one test program; one that dies of a sanitizer's finding has failed once more than it says. */
function run(program) {
  const { status, stdout, stderr } = spawnSync(program, { encoding: "utf8", env: { ...process.env, ...ENVIRONMENT } });
  const counts = stdout.match(/test cases:\s+\d+ \|\s+(\d+) passed \|\s+(\d+) failed \|\s+(\d+) skipped/);
  const [passed = 0, failed = 0, skipped = 0] = (counts ?? []).slice(1).map(Number);
  totals.passed += passed;
  totals.failed += failed + (status !== 0 && failed === 0 ? 1 : 0);
  totals.skipped += skipped;
  if (status !== 0) process.stderr.write(`${program}:\n${stdout}\n${stderr}\n`);
}

function requireTool(name, cure) {
  if (spawnSync(name, ["--version"]).status === 0) return;
  process.stderr.write(`${name} was not found; install with: ${cure}\n`);
  process.exit(1);
}
