// Fails when a workflow uses an action that is not pinned to a commit: a tag can be moved to other code.
import { readdirSync, readFileSync } from "node:fs";

const folder = ".github/workflows";
const problems = readdirSync(folder).flatMap((name) =>
  readFileSync(`${folder}/${name}`, "utf8")
    .split("\n")
    .flatMap((line, index) => {
      const used = /^\s*(?:- )?uses:\s*(.+)$/.exec(line)?.[1];
      if (used === undefined || used.startsWith("./") || /^\S+@[0-9a-f]{40} # v\d/.test(used)) return [];
      return [`${folder}/${name}:${index + 1}: ${used} is not pinned; write owner/name@<commit> # v<version>`];
    }),
);
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
