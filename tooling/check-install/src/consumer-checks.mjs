import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { run } from "./commands.mjs";

/** @typedef {import("./consumer.mjs").Consumer} Consumer */
/** @typedef {import("./public-packages.mjs").PublicPackage} PublicPackage */

const require = createRequire(import.meta.url);
const smokeFolder = fileURLToPath(new URL("../smoke", import.meta.url));

/** A Node that cannot `require` an ES module takes the CommonJS files; others take the ES modules for both. */
export const COMMONJS_ONLY = "--no-experimental-require-module";

/**
 * `import` and `require` give the same names, and at least one; and so do the CommonJS files.
 *
 * @param {Consumer} consumer
 * @param {string} entryPoint
 */
export function checkImports(consumer, entryPoint) {
  const specifier = JSON.stringify(entryPoint);
  const names = `console.log(Object.keys(it).filter((name) =>
    !["default", "__esModule", "module.exports"].includes(name)).sort().join(" "))`;
  const required = ["--input-type=commonjs", "-e", `const it = require(${specifier}); ${names}`];
  const imported = consumer.node(["--input-type=module", "-e", `import * as it from ${specifier}; ${names}`]);
  if (imported.trim() === "") throw new Error(`${entryPoint} exports nothing`);
  for (const [way, found] of [
    ["by require", consumer.node(required)],
    ["by require of CommonJS", consumer.node([COMMONJS_ONLY, ...required])],
  ]) {
    if (found !== imported) throw new Error(`${entryPoint} by import: ${imported}${way}: ${found}`);
  }
}

/**
 * @param {Consumer} consumer
 * @param {string} binary
 */
export function checkBinary(consumer, binary) {
  const output = consumer.node([path.join(consumer.folder, "node_modules/.bin", binary), "--help"]);
  if (!output.includes(binary)) throw new Error(`${binary} --help says:\n${output}`);
}

/**
 * The declarations of all entry points compile, for a module of each kind, with nothing left out.
 *
 * @param {Consumer} consumer
 * @param {string[]} entryPoints
 * @param {{ name: string, compiler: string, types: string[] }} options which compiler, and which ambient types there are
 */
export function checkTypes(consumer, entryPoints, { name, compiler, types }) {
  const folder = path.join(consumer.folder, name);
  mkdirSync(folder);
  const imports = entryPoints.map((entry, index) => `import * as it${index} from ${JSON.stringify(entry)};\n`);
  const uses = entryPoints.map((_, index) => `it${index}`).join(", ");
  for (const extension of ["mts", "cts"]) {
    writeFileSync(path.join(folder, `use.${extension}`), `${imports.join("")}export const all = [${uses}];\n`);
  }
  const compilerOptions = {
    module: "node16",
    target: "es2023",
    lib: ["es2023", "esnext.disposable"],
    types,
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
  };
  const files = ["use.mts", "use.cts"];
  writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  run(process.execPath, [compilerFile(compiler), "-p", folder, "--pretty", "false"], { cwd: folder });
}

/**
 * Bundles for a browser, where a Node module is an error.
 *
 * @param {Consumer} consumer
 * @param {PublicPackage} pack
 */
export async function checkBrowser(consumer, { name }) {
  const contents = `import * as it from ${JSON.stringify(name)}; export default it;`;
  await build({
    stdin: { contents, resolveDir: consumer.folder },
    bundle: true,
    write: false,
    platform: "browser",
    format: "esm",
    logLevel: "silent",
  });
}

/**
 * Runs a smoke script from the project, on its installed packages.
 *
 * @param {Consumer} consumer
 * @param {string} script
 * @param {string[]} [flags] of Node
 */
export function checkSmoke(consumer, script, flags = []) {
  const copy = path.join(consumer.folder, script);
  writeFileSync(copy, readFileSync(path.join(smokeFolder, script)));
  consumer.node([...flags, copy]);
}

/** @param {string} name */
function compilerFile(name) {
  const manifest = require.resolve(`${name}/package.json`);
  return path.join(path.dirname(manifest), /** @type {string} */ (Object.values(require(manifest).bin)[0]));
}
