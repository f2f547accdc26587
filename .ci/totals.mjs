// The last line of a run: the totals of all tests. A step that failed beside the tests counts as a failure.
import { summarize } from "../tooling/summary.mjs";

const failedSteps = process.argv.slice(2);
const otherSteps = failedSteps.filter((step) => step !== "test");
if (failedSteps.length > 0) process.stdout.write(`failed: ${failedSteps.join(", ")}\n`);
const { failed } = summarize("test", otherSteps.length === failedSteps.length, otherSteps.length);
process.exitCode = failed === 0 ? 0 : 1;
