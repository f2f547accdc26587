// Builds the addon. Says what is missing and how to get it; without a compiler the other packages still work.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

const CURES = {
  linux: "apt-get install -y cmake g++   (Debian, Ubuntu)   or   dnf install -y cmake gcc-c++   (Fedora, RHEL)",
  darwin: "xcode-select --install && brew install cmake",
  win32: "winget install Kitware.CMake Microsoft.VisualStudio.2022.BuildTools",
};

const missing = missingTools();
if (missing.length > 0) {
  const isRequired = Boolean(process.env.CI) || process.env.KV_REQUIRE_NATIVE === "1";
  process.stderr.write(
    `The addon was not built: ${missing.join(" and ")} not found.\n` +
      `Install with:  ${CURES[process.platform] ?? "your package manager: cmake >= 3.21 and a C++20 compiler"}\n` +
      (isRequired ? "" : "Going on without it: sizes, plans and the ledger work, devices do not.\n"),
  );
  process.exit(isRequired ? 1 : 0);
}

const cmakeJs = createRequire(import.meta.url).resolve("cmake-js/bin/cmake-js");
const archs = `--CDKV_CUDA_ARCHS=${process.env.KV_CUDA_ARCHS ?? "native"}`;
// configure, then build: build alone keeps old options and does not notice a newly installed nvcc.
for (const step of [["configure"], ["build", "--parallel", String(availableParallelism())]]) {
  const { status } = spawnSync(
    process.execPath,
    [cmakeJs, ...step, "--log-level", "warn", archs, ...process.argv.slice(2)],
    {
      stdio: "inherit",
      cwd: fileURLToPath(new URL("..", import.meta.url)),
    },
  );
  if (status !== 0) process.exit(status ?? 1);
}

function missingTools() {
  const isThere = (command) => spawnSync(command, ["--version"], { shell: process.platform === "win32" }).status === 0;
  const compilers = process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"];
  const problems = [];
  if (!isThere("cmake")) problems.push("cmake");
  // On Windows CMake finds Visual Studio by itself; no compiler is on the path.
  if (process.platform !== "win32" && !compilers.some(isThere)) problems.push("a C++ compiler");
  return problems;
}
