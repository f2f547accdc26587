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

/**
 * `import` and `require` give the same names, and at least one.
 *
 * @param {Consumer} consumer
 * @param {string} entryPoint
 */
export function checkImports(consumer, entryPoint) {
  const names = (/** @type {string} */ namespace) => `console.log(Object.keys(${namespace}).filter((name) =>
    !["default", "__esModule", "module.exports"].includes(name)).sort().join(" "))`;
  const specifier = JSON.stringify(entryPoint);
  const esm = consumer.node(["--input-type=module", "-e", `import * as it from ${specifier}; ${names("it")}`]);
  const cjs = consumer.node(["--input-type=commonjs", "-e", `const it = require(${specifier}); ${names("it")}`]);
  if (esm.trim() === "") throw new Error(`${entryPoint} exports nothing`);
  if (esm !== cjs) throw new Error(`${entryPoint} by import: ${esm}${entryPoint} by require: ${cjs}`);
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
 */
export function checkSmoke(consumer, script) {
  const copy = path.join(consumer.folder, script);
  writeFileSync(copy, readFileSync(path.join(smokeFolder, script)));
  consumer.node([copy]);
}

/** @param {string} name */
function compilerFile(name) {
  const manifest = require.resolve(`${name}/package.json`);
  return path.join(path.dirname(manifest), /** @type {string} */ (Object.values(require(manifest).bin)[0]));
}
