// Runs the benchmarks that are named, or all, one after the other: `pnpm bench`, `node run.mjs device --device=host`.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("dist", import.meta.url));
const known = readdirSync(dist)
  .filter((file) => file.endsWith(".bench.js"))
  .map((file) => file.replace(".bench.js", ""));
const names = process.argv.slice(2).filter((arg) => !arg.startsWith("-"));
const options = process.argv.slice(2).filter((arg) => arg.startsWith("-"));
const unknown = names.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`no benchmark ${unknown.join(", ")}; there are ${known.join(", ")}\n`);
  process.exit(2);
}
for (const name of names.length > 0 ? names : known) {
  process.stdout.write(`\n# ${name}\n`);
  const { status } = spawnSync(process.execPath, ["--expose-gc", `${dist}/${name}.bench.js`, ...options], {
    stdio: "inherit",
  });
  if (status !== 0) process.exitCode = status ?? 1;
}
