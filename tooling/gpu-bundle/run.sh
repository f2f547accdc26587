#!/bin/sh
# Runs the GPU matrix, the benchmarks and compute-sanitizer, and writes the report.
#   run.sh [tests] [bench] [check] [sanitizer]      all four unless some are named
# A tool of compute-sanitizer is a step too: memcheck, racecheck, initcheck, synccheck.
# Results go to $OUT, or to results/ beside this file: report.md, and the raw output of each step.
here=$(cd "$(dirname "$0")" && pwd) || exit 2
PATH=$here/bin:$PATH
export PATH
out=${OUT:-$here/results}
mkdir -p "$out"
steps=${*:-tests bench check sanitizer}
tools="memcheck racecheck initcheck synccheck"
failed=0

run_tests() {
  package=$1
  results=$here/packages/$package/test-results/test.json
  rm -f "$results"
  (cd "$here/packages/$package" && KV_REQUIRE_CUDA=1 node "$here/node_modules/vitest/vitest.mjs" run --project 'cuda-*')
  status=$?
  [ ! -f "$results" ] || cp "$results" "$out/$package.tests.json"
  return $status
}

# Runs the small case tables under a tool of compute-sanitizer, in one process a package, since each starts slowly.
# vitest's worker process is what must be followed. Errors that the driver returns are no findings: the tests provoke
# them, and check what is made of them.
sanitize() {
  tool=$1
  # Only kernels have threads that could race, or miss each other at a barrier.
  case $tool in
    racecheck | synccheck) packages=kernels ;;
    *) packages="kernels device-memory" ;;
  esac
  status=0
  started=$(date +%s)
  for package in $packages; do
    (
      cd "$here/packages/$package" &&
        KV_REQUIRE_CUDA=1 KV_TEST_SMALL=1 compute-sanitizer --tool "$tool" --report-api-errors no \
          --target-processes all --error-exitcode 86 \
          node "$here/node_modules/vitest/vitest.mjs" run --project 'cuda-*' --no-isolate
    ) || status=1
  done >"$out/$tool.txt" 2>&1
  echo "took $(($(date +%s) - started)) s" >>"$out/$tool.txt"
  # The worker's exit status does not reach vitest's.
  grep -q ' SUMMARY: ' "$out/$tool.txt" || status=1
  if grep ' SUMMARY: ' "$out/$tool.txt" | grep -Eqv ' SUMMARY: 0 (errors|hazards)'; then status=1; fi
  return $status
}

for step in $steps; do
  case $step in
    tests)
      for package in device-memory kernels cache cli; do
        run_tests "$package" >"$out/$package.log" 2>&1 || failed=1
      done
      ;;
    bench)
      (cd "$here/benchmarks" && node run.mjs device cache batch kernels attention decode-step) >"$out/bench.txt" 2>&1 || failed=1
      ;;
    check)
      for model in qwen2.5-0.5b llama-3-8b llama-3-70b; do
        node "$here/packages/cli/dist/main.js" check "$model" --device cuda:0
      done >"$out/check.txt" 2>&1 || failed=1
      ;;
    sanitizer)
      for tool in $tools; do
        sanitize "$tool" || failed=1
      done
      ;;
    memcheck | racecheck | initcheck | synccheck)
      sanitize "$step" || failed=1
      ;;
    *)
      echo "no step $step; there are tests, bench, check, sanitizer, and of that $tools" >&2
      exit 2
      ;;
  esac
  # After each step, so that a run that is cut off leaves one.
  node "$here/report.mjs" "$out" "$here" || failed=1
done
cat "$out/report.md"
exit $failed
