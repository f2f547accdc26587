import path from "node:path";
import { getPackages } from "@manypkg/get-packages";

/**
 * @typedef {object} WorkspacePackage
 * @property {string} name
 * @property {string} version
 * @property {string} folder relative to the root
 * @property {boolean} isPrivate
 * @property {any} manifest
 * @property {string[]} dependencies the packages of the workspace that its users get with it
 */

/**
 * @param {string} root
 * @returns {Promise<Map<string, WorkspacePackage>>} by name
 */
export async function readWorkspace(root) {
  const { packages } = await getPackages(root);
  const names = new Set(packages.map(({ packageJson }) => packageJson.name));
  return new Map(
    packages.map(({ dir, packageJson }) => {
      const { name, version, dependencies, optionalDependencies, peerDependencies } = packageJson;
      const installed = { ...dependencies, ...optionalDependencies, ...peerDependencies };
      const folder = path.relative(root, dir).replaceAll(path.sep, "/");
      const isPrivate = packageJson.private === true;
      const ours = Object.keys(installed).filter((each) => names.has(each));
      return [name, { name, version, folder, isPrivate, manifest: packageJson, dependencies: ours }];
    }),
  );
}

/**
 * All that comes along when a package is installed, each with the way to it: ["@kv/cache", "@kv/device-memory"].
 *
 * @param {Map<string, WorkspacePackage>} workspace
 * @param {string} name
 * @returns {Map<string, string[]>} the way by name, the shortest
 */
export function dependenciesOf(workspace, name) {
  /** @type {Map<string, string[]>} */
  const ways = new Map();
  const queue = [[name]];
  for (const way of queue) {
    for (const dependency of workspace.get(/** @type {string} */ (way.at(-1)))?.dependencies ?? []) {
      if (dependency === name || ways.has(dependency)) continue;
      ways.set(dependency, [...way, dependency]);
      queue.push([...way, dependency]);
    }
  }
  return ways;
}
