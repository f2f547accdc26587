#!/bin/sh
# Runs the GPU matrix, the benchmarks and compute-sanitizer, and writes the report.
#   run.sh [tests] [bench] [check] [sanitizer]      all four unless some are named
# Results go to $OUT, or to results/ beside this file: report.md, and the raw output of each step.
here=$(cd "$(dirname "$0")" && pwd) || exit 2
PATH=$here/bin:$PATH
export PATH
out=${OUT:-$here/results}
mkdir -p "$out"
steps=${*:-tests bench check sanitizer}
failed=0

vitest() {
  package=$1
  shift
  results=$here/packages/$package/test-results/test.json
  rm -f "$results"
  (cd "$here/packages/$package" && "$@" node "$here/node_modules/vitest/vitest.mjs" run --project 'cuda-*')
  status=$?
  [ ! -f "$results" ] || cp "$results" "$out/$package.$kind.json"
  return $status
}

for step in $steps; do
  case $step in
    tests)
      kind=tests
      for package in device-memory kernels cache cli; do
        KV_REQUIRE_CUDA=1 vitest "$package" env >"$out/$package.log" 2>&1 || failed=1
      done
      ;;
    bench)
      (cd "$here/benchmarks" && node run.mjs device cache attention) >"$out/bench.txt" 2>&1 || failed=1
      ;;
    check)
      for model in qwen2.5-0.5b llama-3-8b llama-3-70b; do
        node "$here/packages/cli/dist/main.js" check "$model" --device cuda:0
      done >"$out/check.txt" 2>&1 || failed=1
      ;;
    sanitizer)
      # Every instruction is checked, so fewer rounds. vitest's worker process is what must be followed. Errors that the
      # driver returns are no findings: the tests provoke them, and check what is made of them.
      kind=sanitizer
      for tool in memcheck initcheck; do
        for package in device-memory kernels cache; do
          KV_REQUIRE_CUDA=1 KV_TEST_DTYPES=fp16 KV_TEST_SMALL=1 vitest "$package" compute-sanitizer --tool "$tool" --report-api-errors no --target-processes all --error-exitcode 86
        done >"$out/$tool.txt" 2>&1 || failed=1
        # The worker's exit status does not reach vitest's.
        if grep 'ERROR SUMMARY' "$out/$tool.txt" | grep -qv ' 0 errors'; then failed=1; fi
      done
      ;;
    *)
      echo "no step $step; there are tests, bench, check, sanitizer" >&2
      exit 2
      ;;
  esac
done
node "$here/report.mjs" "$out" "$here" || failed=1
cat "$out/report.md"
exit $failed
