import { readFileSync } from "node:fs";
import path from "node:path";

/** @typedef {import("./git.mjs").Git} Git */
/** @typedef {import("./workspace.mjs").WorkspacePackage} WorkspacePackage */

/** Files that no user of a package gets and that change nothing in what they get. */
const WITHOUT_EFFECT = [/\.md$/, /\.test\.[cm]?[jt]s$/, /(^|\/)test\//, /(^|\/)vitest\.config\.ts$/];

/** Fields of a manifest that change nothing for the packages that depend on it. */
const FIELDS_WITHOUT_EFFECT = ["version", "devDependencies", "scripts", "description", "keywords"];

/**
 * The tag that a release of this version has.
 *
 * @param {{ name: string, version: string }} pack
 */
export function releaseTag({ name, version }) {
  return `${name}@${version}`;
}

/**
 * The files of a released package that are not as its users have them.
 *
 * @param {string} root
 * @param {Git} git
 * @param {WorkspacePackage} pack one whose version has its tag
 * @returns {string[]} relative to the root
 */
export function changedFiles(root, git, pack) {
  const tag = releaseTag(pack);
  const manifest = `${pack.folder}/package.json`;
  return git.changedSince(tag, pack.folder).filter((file) => {
    if (file === manifest) return manifestDiffers(git.contentAt(tag, file), path.join(root, file));
    return !WITHOUT_EFFECT.some((pattern) => pattern.test(file.slice(pack.folder.length + 1)));
  });
}

/**
 * @param {string | undefined} before
 * @param {string} file
 */
function manifestDiffers(before, file) {
  return before === undefined || effectOf(before) !== effectOf(readFileSync(file, "utf8"));
}

/** @param {string} manifest */
function effectOf(manifest) {
  const fields = Object.entries(JSON.parse(manifest)).filter(([field]) => !FIELDS_WITHOUT_EFFECT.includes(field));
  return JSON.stringify(fields.sort(([a], [b]) => a.localeCompare(b)));
}
