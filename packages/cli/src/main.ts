#!/usr/bin/env node
import { EXIT } from "./exit-codes.ts";

// A reader that has seen enough, such as `head`, is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

try {
  // Loaded here, so that an incomplete installation does not end with Node's own 1, which means a failed check.
  const { run } = await import("./program.ts");
  process.exitCode = await run(process.argv.slice(2), process);
} catch (error) {
  // Node adds a guess on a second line.
  const [reason] = (error instanceof Error ? error.message : String(error)).split("\n");
  process.stderr.write(`kv: INTERNAL: kv cannot start: ${reason}\n`);
  process.exitCode = EXIT.internal;
}
