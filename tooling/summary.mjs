import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";

/** The test reports that a task leaves: vitest's JSON form, one per package. */
function reportsOf(task) {
  const workspaces = ["packages", "apps", "tooling"].filter((folder) => existsSync(folder));
  const folders = workspaces.flatMap((folder) => readdirSync(folder).map((name) => path.join(folder, name)));
  return [...folders, "native", "examples", "benchmarks"]
    .map((folder) => path.join(folder, "test-results", `${task.replace(":", "-")}.json`))
    .filter((file) => existsSync(file));
}

/** Forgets the reports of an earlier run; turbo brings back those of cached tasks. */
export function forget(task) {
  for (const file of reportsOf(task)) rmSync(file);
}

/**
 * Prints `N passed, N failed, N skipped` over all packages. What did not run at all counts as failed, and so do failures
 * beside the tests; a task that did not succeed has at least one.
 */
export function summarize(task, succeeded, numOtherFailures = 0) {
  const totals = totalsOf(task);
  // A build that failed leaves no test to count.
  if (!succeeded && totals.failed === 0) totals.failed = 1;
  totals.failed += numOtherFailures;
  process.stdout.write(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`);
  return totals;
}

function totalsOf(task) {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const file of reportsOf(task)) {
    const report = JSON.parse(readFileSync(file, "utf8"));
    totals.passed += report.numPassedTests;
    totals.failed += report.numFailedTests;
    totals.skipped += report.numPendingTests + (report.numTodoTests ?? 0);
    // A suite that fails to load has no tests to count.
    totals.failed += report.testResults.filter(
      (suite) => suite.status === "failed" && suite.assertionResults.length === 0,
    ).length;
  }
  return totals;
}
