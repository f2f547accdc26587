// Formats the C++ and CUDA sources, or with --check fails when one is not formatted.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";

const sources = spawnSync(
  "git",
  ["ls-files", "-co", "--exclude-standard", "native/**/*.cpp", "native/**/*.h", "native/**/*.cu", "native/**/*.cuh"],
  {
    encoding: "utf8",
  },
);
const files = sources.stdout.split("\n").filter((file) => file !== "");
const mode = process.argv.includes("--check") ? ["--dry-run", "--Werror"] : ["-i"];
const cli = createRequire(import.meta.url).resolve("clang-format-node/build/cli.js");
process.exitCode =
  files.length === 0 ? 0 : (spawnSync(process.execPath, [cli, ...mode, ...files], { stdio: "inherit" }).status ?? 1);
