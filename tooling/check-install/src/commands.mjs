import { spawnSync } from "node:child_process";

/**
 * Runs a command and gives what it wrote.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv }} options
 * @returns {string}
 * @throws {Error} with the output if it fails
 */
export function run(command, args, { cwd, env = process.env }) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: "utf8" });
  if (status === 0) return stdout;
  const ending = error?.message ?? (signal === null ? `exit code ${status}` : `signal ${signal}`);
  throw new Error(`${command} ${args.join(" ")}: ${ending}\n${stdout}${stderr}`);
}
