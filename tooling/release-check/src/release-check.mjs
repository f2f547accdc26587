import { createRequire } from "node:module";
import { openGit } from "./git.mjs";
import { changedFiles, releaseTag } from "./unpublished-changes.mjs";
import { dependenciesOf, readWorkspace } from "./workspace.mjs";

/** @typedef {import("./git.mjs").Git} Git */
/** @typedef {import("./workspace.mjs").WorkspacePackage} WorkspacePackage */

/**
 * A package that must not go out as things are.
 *
 * @typedef {object} Refusal
 * @property {string} package
 * @property {string} dependency what stays behind with changes that nobody can install
 * @property {string[]} way from the package to the dependency
 * @property {string[]} changesets pending changesets of the dependency
 * @property {string[]} files its files that changed since its last release
 * @property {string} reason
 */

// The package has no entry for `import` that works without a bundler.
const { default: getReleasePlan } = createRequire(import.meta.url)("@changesets/get-release-plan");

/**
 * Which packages of a release were tested with changes of their dependencies that are not released with them, so that
 * their users would get the older dependency.
 *
 * `plan` asks about the next release: what the pending changesets bring, and versions that are not tagged yet.
 * `publish` asks about a publication now: versions that are not tagged yet, and nothing else.
 *
 * @param {string} root
 * @param {"plan" | "publish"} stage
 * @returns {Promise<{ goingOut: string[], refusals: Refusal[] }>}
 * @throws {Error} in a shallow clone, where missing tags would make every package look unreleased
 */
export async function checkRelease(root, stage) {
  const git = openGit(root);
  if (git.isShallow)
    throw new Error("this clone is shallow: fetch the history and the tags (git fetch --unshallow --tags)");
  const workspace = await readWorkspace(root);
  const changesets = await pendingChangesets(root);
  const goingOut = new Set(
    [...workspace.values()]
      .filter((pack) => !pack.isPrivate)
      .filter((pack) => !git.tags.has(releaseTag(pack)) || (stage === "plan" && changesets.has(pack.name)))
      .map((pack) => pack.name),
  );
  const refusals = [...goingOut].flatMap((name) =>
    [...dependenciesOf(workspace, name)].flatMap(([dependency, way]) => {
      if (goingOut.has(dependency)) return [];
      const pack = /** @type {WorkspacePackage} */ (workspace.get(dependency));
      const behind = whyBehind(root, git, pack, changesets.get(dependency) ?? []);
      return behind === undefined ? [] : [{ package: name, dependency, way, ...behind }];
    }),
  );
  return { goingOut: [...goingOut], refusals };
}

/**
 * @param {string} root
 * @returns {Promise<Map<string, string[]>>} for each package that the pending changesets release, the changesets
 */
async function pendingChangesets(root) {
  /** @type {import("@changesets/types").ReleasePlan} */
  const { releases } = await getReleasePlan(root);
  return new Map(releases.filter(({ type }) => type !== "none").map(({ name, changesets }) => [name, changesets]));
}

/**
 * @param {string} root
 * @param {Git} git
 * @param {WorkspacePackage} pack a dependency that does not go out
 * @param {string[]} changesets
 * @returns {Pick<Refusal, "changesets" | "files" | "reason"> | undefined} undefined when its users have all of it
 */
function whyBehind(root, git, pack, changesets) {
  const files = changedFiles(root, git, pack);
  if (changesets.length > 0) return { changesets, files, reason: "it has changesets that are not released" };
  return files.length > 0 ? { changesets, files, reason: `it changed since ${releaseTag(pack)}` } : undefined;
}
