// Packs every public package, installs the tarballs with npm in an empty project elsewhere with no compiler on the
// path, and uses them there on plain Node.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createConsumer } from "./consumer.mjs";
import { COMMONJS_ONLY, checkBinary, checkBrowser, checkImports, checkSmoke, checkTypes } from "./consumer-checks.mjs";
import { packPackage } from "./pack.mjs";
import { checkContents, checkPublint, checkTypesWrong } from "./package-checks.mjs";
import { publicPackages } from "./public-packages.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const temporary = mkdtempSync(path.join(tmpdir(), "kv-install-"));
const packages = publicPackages(root);
let numFailed = 0;

try {
  await checkAll();
} finally {
  rmSync(temporary, { recursive: true });
}
process.stdout.write(numFailed === 0 ? "installs clean\n" : `${numFailed} checks failed\n`);
process.exitCode = numFailed === 0 ? 0 : 1;

async function checkAll() {
  const tarballs = new Map(packages.map((pack) => [pack, packPackage(pack, temporary)]));
  for (const [pack, tarball] of tarballs) {
    await check(`${pack.name} has the files it should`, () => checkContents(tarball));
    await check(`${pack.name} pleases publint`, () => checkPublint(tarball));
    await check(`${pack.name} pleases attw`, () => checkTypesWrong(tarball));
  }

  const ours = Object.fromEntries([...tarballs].map(([pack, tarball]) => [pack.name, `file:${tarball}`]));
  const peers = Object.assign({}, ...packages.map((pack) => pack.optionalPeers));
  const consumer = createConsumer(temporary, { ...ours, ...peers, "@types/node": "^20.19.0" });
  for (const pack of packages) {
    for (const entryPoint of pack.entryPoints) {
      await check(`${entryPoint} by import and by require`, () => checkImports(consumer, entryPoint));
    }
    for (const binary of pack.binaries) await check(`${binary} --help`, () => checkBinary(consumer, binary));
    if (pack.runsInBrowser) await check(`${pack.name} in a browser`, () => checkBrowser(consumer, pack));
  }

  const all = packages.flatMap((pack) => pack.entryPoints);
  const inBrowser = packages.filter((pack) => pack.runsInBrowser).map((pack) => pack.name);
  for (const compiler of ["typescript", "@typescript/native"]) {
    const name = `types-${compiler.replace(/\W/g, "-")}`;
    await check(`types with ${compiler}`, () => checkTypes(consumer, all, { name, compiler, types: ["node"] }));
  }
  const bare = { name: "types-bare", compiler: "@typescript/native", types: [] };
  await check("types of the browser packages without Node's", () => checkTypes(consumer, inBrowser, bare));
  for (const script of ["host.mjs", "host.cjs", "one-instance.cjs"]) {
    await check(`smoke ${script}`, () => checkSmoke(consumer, script));
  }
  await check("smoke host.cjs of CommonJS", () => checkSmoke(consumer, "host.cjs", [COMMONJS_ONLY]));
}

/**
 * @param {string} name
 * @param {() => void | Promise<void>} action throws what is wrong
 */
async function check(name, action) {
  try {
    await action();
    process.stdout.write(`ok      ${name}\n`);
  } catch (error) {
    numFailed += 1;
    process.stdout.write(`FAILED  ${name}\n${error instanceof Error ? error.message : error}\n`);
  }
}
