// Says what a release would bring, and refuses it when its packages would find older dependencies at the registry
// than they were tested with.
//
//   main.mjs plan      before a change is merged: the release that the pending changesets make
//   main.mjs publish   before `changeset publish`: the versions that have no tag yet, with their binaries
//   main.mjs untagged  only the names of those, for a script
import { fileURLToPath } from "node:url";
import { missingPrebuilds } from "./prebuilds.mjs";
import { checkRelease } from "./release-check.mjs";
import { readWorkspace } from "./workspace.mjs";

const root = process.argv[3] ?? fileURLToPath(new URL("../../..", import.meta.url));
const stage = process.argv[2];

if (stage === "plan" || stage === "publish") {
  process.exitCode = await main(stage);
} else if (stage === "untagged") {
  process.stdout.write(`${(await checkRelease(root, "publish")).goingOut.join(" ")}\n`);
} else {
  process.stderr.write("usage: main.mjs plan | publish | untagged\n");
  process.exitCode = 2;
}

/** @param {"plan" | "publish"} stage */
async function main(stage) {
  const { goingOut, refusals } = await checkRelease(root, stage);
  const lacking = stage === "publish" ? await lackingBinaries(goingOut) : [];
  process.stdout.write(goingOut.length === 0 ? "nothing to release\n" : `to release: ${goingOut.join(", ")}\n`);
  for (const refusal of refusals) process.stderr.write(describe(refusal));
  for (const file of lacking) process.stderr.write(`refused: ${file} is missing; it is built on its platform\n`);
  return refusals.length + lacking.length === 0 ? 0 : 1;
}

/** @param {string[]} goingOut */
async function lackingBinaries(goingOut) {
  const workspace = await readWorkspace(root);
  return [...workspace.values()]
    .filter((pack) => goingOut.includes(pack.name))
    .flatMap((pack) => missingPrebuilds(root, pack));
}

/** @param {import("./release-check.mjs").Refusal} refusal */
function describe({ package: name, dependency, way, changesets, files, reason }) {
  const through = way.length > 2 ? ` (${way.join(" -> ")})` : "";
  const lines = [`refused: ${name} would go out without ${dependency}${through}: ${reason}`];
  if (changesets.length > 0) lines.push(`  changesets: ${changesets.join(", ")}; run \`pnpm version-packages\` first`);
  if (files.length > 0) lines.push(...files.slice(0, 10).map((file) => `  changed: ${file}`));
  if (files.length > 10) lines.push(`  and ${files.length - 10} more`);
  if (changesets.length === 0 && files.length > 0) lines.push(`  run \`npm run changeset\` and choose ${dependency}`);
  return `${lines.join("\n")}\n`;
}
