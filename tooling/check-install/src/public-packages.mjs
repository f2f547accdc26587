import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/**
 * @typedef {object} PublicPackage
 * @property {string} name
 * @property {string} folder
 * @property {string[]} entryPoints what a user imports: "@kv/vram-tracker", "@kv/vram-tracker/prometheus"
 * @property {string[]} binaries the commands it brings
 * @property {Record<string, string>} optionalPeers ranges of what some entry points need beside it
 * @property {boolean} runsInBrowser whether nothing of it needs Node
 */

/** No package of ours below them, no native code: they must run in a browser. */
const BROWSER_PACKAGES = ["@kv/config", "@kv/paging", "@kv/vram-tracker"];

/**
 * @param {string} root
 * @returns {PublicPackage[]}
 */
export function publicPackages(root) {
  return [...readdirSync(path.join(root, "packages")).map((name) => `packages/${name}`), "native"]
    .map((name) => path.join(root, name))
    .filter((folder) => existsSync(path.join(folder, "package.json")))
    .map((folder) => ({ folder, manifest: JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) }))
    .filter(({ manifest }) => manifest.private !== true)
    .map(({ folder, manifest }) => describePackage(folder, manifest));
}

/**
 * @param {string} folder
 * @param {any} manifest
 * @returns {PublicPackage}
 */
export function describePackage(folder, manifest) {
  const { name, exports = {}, bin = {}, peerDependencies = {} } = manifest;
  return {
    name,
    folder,
    entryPoints: Object.keys(exports)
      .filter((entry) => entry !== "./package.json")
      .map((entry) => name + entry.slice(1)),
    binaries: typeof bin === "string" ? [name.replace(/^@.*\//, "")] : Object.keys(bin),
    optionalPeers: Object.fromEntries(Object.entries(peerDependencies).filter(([peer]) => !peer.startsWith("@kv/"))),
    runsInBrowser: BROWSER_PACKAGES.includes(name),
  };
}
