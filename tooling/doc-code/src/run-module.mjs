import { spawn } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { transform } from "esbuild";

/** The oldest Node that runs our packages; what it lacks (`using`) is lowered. */
const TARGET = "node20.19";

/**
 * A module as its author wrote it.
 *
 * @typedef {object} SourceModule
 * @property {string} source TypeScript or JavaScript
 * @property {string} sourceFile the file it stands in, as an absolute path; failures name it
 * @property {number} [firstLine] the line of that file where the source begins; 1 unless given
 * @property {"esm" | "cjs"} [format] "esm" unless given
 * @property {string} folder what it imports is found from here; the lowered module is written below it for the run
 * @property {Record<string, string>} [environment] variables beside our own
 * @property {number} [timeoutMs] the run fails when it takes longer; 250 seconds unless given
 */

/**
 * @typedef {object} ModuleRun
 * @property {boolean} passed whether it ended by itself with exit code 0
 * @property {string} output what it wrote to both streams, and what went wrong
 */

let numRuns = 0;

/**
 * Runs a module in a process of its own, on plain Node, as a user of the built packages would.
 *
 * @param {SourceModule} module
 * @returns {Promise<ModuleRun>}
 */
export async function runModule(module) {
  const { folder, format = "esm", environment = {}, timeoutMs = 250_000 } = module;
  let code;
  try {
    code = await lower(module);
  } catch (error) {
    return { passed: false, output: error instanceof Error ? error.message : String(error) };
  }
  numRuns += 1;
  const file = path.join(folder, "build/run", `${process.pid}-${numRuns}.${format === "esm" ? "mjs" : "cjs"}`);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, code);
  try {
    return await runFile(file, environment, timeoutMs);
  } finally {
    await rm(file, { force: true });
  }
}

/**
 * @param {SourceModule} module
 * @returns {Promise<string>} JavaScript for the oldest Node, with a source map that names the lines of `sourceFile`
 */
async function lower({ source, sourceFile, firstLine = 1, format = "esm" }) {
  const { code } = await transform("\n".repeat(firstLine - 1) + source, {
    loader: "ts",
    target: TARGET,
    format,
    sourcemap: "inline",
    sourcefile: sourceFile,
    logLevel: "silent",
  });
  return code;
}

/**
 * @param {string} file
 * @param {Record<string, string>} environment
 * @param {number} timeoutMs
 * @returns {Promise<ModuleRun>}
 */
function runFile(file, environment, timeoutMs) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["--enable-source-maps", file], {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    }
    child.on("close", (status, signal) => {
      if (signal !== null) output += `\nended by ${signal}; it may run ${timeoutMs} ms`;
      resolve({ passed: status === 0, output });
    });
  });
}
