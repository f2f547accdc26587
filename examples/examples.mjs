import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { runModule } from "../tooling/doc-code/src/run-module.mjs";

const folder = fileURLToPath(new URL(".", import.meta.url));

/** The names of the examples, in order: "01-account-for-memory.ts". */
export const EXAMPLES = readdirSync(folder)
  .filter((name) => /^\d\d-.*\.ts$/.test(name))
  .sort((a, b) => a.localeCompare(b));

/** @param {string} name */
export function sourceOf(name) {
  return readFileSync(path.join(folder, name), "utf8");
}

/**
 * Runs an example as it stands, on the built packages.
 *
 * @param {string} name
 * @param {Record<string, string>} [environment]
 */
export function runExample(name, environment = {}) {
  return runModule({ source: sourceOf(name), sourceFile: path.join(folder, name), folder, environment });
}
