import { accessSync, constants, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { run } from "./commands.mjs";

/** All that a user's machine has on its path here: no compiler, no cmake, no pnpm. */
const TOOLS = ["npm", "sh", "env"];

/**
 * An empty project elsewhere that installed our tarballs, on a machine with Node and nothing else.
 *
 * @typedef {object} Consumer
 * @property {string} folder
 * @property {(args: string[]) => string} node runs plain Node there and gives its output; throws if it fails
 */

/**
 * @param {string} folder
 * @param {Record<string, string>} dependencies packages by name: a tarball as `file:…`, or a range
 * @returns {Consumer}
 */
export function createConsumer(folder, dependencies) {
  const bin = path.join(folder, "bin");
  const project = path.join(folder, "project");
  for (const each of [bin, project]) mkdirSync(each);
  symlinkSync(process.execPath, path.join(bin, "node"));
  for (const tool of TOOLS) symlinkSync(find(tool), path.join(bin, tool));
  writeFileSync(path.join(project, "package.json"), JSON.stringify({ private: true, dependencies }));
  const env = { ...withoutOurSettings(process.env), PATH: bin };
  run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline"], { cwd: project, env });
  return { folder: project, node: (args) => run(process.execPath, args, { cwd: project, env }) };
}

/**
 * What pnpm, turbo and a developer's shell set would change what npm and the addon do.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {NodeJS.ProcessEnv}
 */
function withoutOurSettings(env) {
  const ours = /^(npm_(?!config_(registry|cafile|userconfig)$)|pnpm_|turbo_|kv_|node_path$|node_options$|cxx|cc$)/i;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ours.test(name)));
}

/** @param {string} tool */
function find(tool) {
  for (const folder of (process.env["PATH"] ?? "").split(path.delimiter)) {
    try {
      accessSync(path.join(folder, tool), constants.X_OK);
      return realpathSync(path.join(folder, tool));
    } catch {
      // Not in this folder.
    }
  }
  throw new Error(`${tool} is not on the path`);
}
