// Runs one example on the built packages: node examples/run.mjs 01
import { EXAMPLES, runExample } from "./examples.mjs";

const wanted = process.argv[2] ?? "";
const name = EXAMPLES.find((each) => wanted !== "" && each.startsWith(wanted));
if (name === undefined) {
  process.stderr.write(`which one? ${EXAMPLES.join(", ")}\n`);
  process.exitCode = 2;
} else {
  const { passed, output } = await runExample(name);
  process.stdout.write(output);
  process.exitCode = passed ? 0 : 1;
}
