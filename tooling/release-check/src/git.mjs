import { execFileSync } from "node:child_process";

/**
 * What git says of a repository.
 *
 * @typedef {object} Git
 * @property {Set<string>} tags
 * @property {boolean} isShallow
 * @property {(tag: string, folder: string) => string[]} changedSince files of a folder that differ from the tag, new
 *   ones and uncommitted ones too; relative to the root
 * @property {(tag: string, file: string) => string | undefined} contentAt a file as it was, if it was there
 */

/**
 * @param {string} root
 * @returns {Git}
 */
export function openGit(root) {
  const git = (/** @type {string[]} */ ...args) =>
    execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 2 ** 28 });
  const lines = (/** @type {string} */ text) => text.split("\n").filter((line) => line !== "");
  return {
    tags: new Set(lines(git("tag", "--list"))),
    isShallow: git("rev-parse", "--is-shallow-repository").trim() === "true",
    changedSince: (tag, folder) => [
      ...lines(git("diff", "--name-only", "--no-renames", `refs/tags/${tag}`, "--", folder)),
      ...lines(git("ls-files", "--others", "--exclude-standard", "--", folder)),
    ],
    contentAt: (tag, file) => {
      try {
        return git("show", `refs/tags/${tag}:${file}`);
      } catch {
        return undefined;
      }
    },
  };
}
