import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { forget, summarize } from "./summary.mjs";

const shell = process.platform === "win32";
const [task, ...rest] = process.argv.slice(2);

if (!process.env.npm_config_user_agent?.startsWith("pnpm/")) process.exit(runUnderPnpm());
process.exitCode = runTask();

/** Starts the same script again under the pinned pnpm, which installs what is missing first. */
function runUnderPnpm() {
  const { packageManager } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const script = process.env.npm_lifecycle_event ?? task;
  return run("npx", ["-y", packageManager.split("+")[0], "run", script]);
}

function runTask() {
  const isTest = task.startsWith("test");
  if (isTest) forget(task);
  const turbo = createRequire(import.meta.url).resolve("turbo/bin/turbo");
  // Telemetry has no switch in turbo.json; KV_TOOLCHAIN rebuilds the addon once a compiler or a GPU appears or changes.
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: "1", KV_TOOLCHAIN: toolchainHash() };
  const status = run(process.execPath, [turbo, "run", task, ...rest], env);
  if (isTest) summarize(task, status === 0);
  return status;
}

function run(command, args, env = process.env) {
  return spawnSync(command, args, { stdio: "inherit", shell: shell && command === "npx", env }).status ?? 1;
}

function toolchainHash() {
  const answer = (command, args) => {
    const { status, stdout } = spawnSync(command, args, { encoding: "utf8", shell });
    return status === 0 ? stdout.trim() : `no ${command}`;
  };
  const compilers = ["cmake", process.env.CXX ?? "c++", process.env.CUDACXX ?? "nvcc"];
  const answers = compilers.map((command) => answer(command, ["--version"]));
  answers.push(answer("nvidia-smi", ["--query-gpu=compute_cap", "--format=csv,noheader"]));
  return createHash("sha256").update(answers.join("\n")).digest("hex").slice(0, 16);
}
