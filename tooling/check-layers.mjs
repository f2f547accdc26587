// Fails when a package depends on a package of ours that its layer may not import. pnpm resolves nothing that a
// manifest does not name, so the manifests decide what can be imported.
import { readdirSync, readFileSync } from "node:fs";
import { MAY_IMPORT } from "./layers.mjs";

const folders = [...readdirSync("packages").map((name) => `packages/${name}`), "native"];
const problems = folders.flatMap((folder) => {
  const { name, dependencies = {}, peerDependencies = {} } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const layer = name.replace("@kv/", "");
  if (!(layer in MAY_IMPORT)) return [`${name} is not in tooling/layers.mjs: say what it may import`];
  return [...Object.keys(dependencies), ...Object.keys(peerDependencies)]
    .filter((each) => each.startsWith("@kv/") && !MAY_IMPORT[layer].includes(each.replace("@kv/", "")))
    .map(
      (each) => `${name} may not import ${each}; it may import: ${MAY_IMPORT[layer].join(", ") || "nothing of ours"}`,
    );
});
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
