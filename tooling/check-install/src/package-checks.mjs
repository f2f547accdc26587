import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { run } from "./commands.mjs";

const require = createRequire(import.meta.url);

/**
 * What a registry would show is whole: licence, readme, the built files and no tests.
 *
 * @param {string} tarball
 */
export function checkContents(tarball) {
  const files = run("tar", ["tzf", tarball], { cwd: path.dirname(tarball) })
    .trim()
    .split("\n");
  for (const wanted of ["LICENSE", "README.md", "package.json"]) {
    if (!files.includes(`package/${wanted}`)) throw new Error(`the tarball has no ${wanted}`);
  }
  if (!files.some((file) => file.startsWith("package/dist/"))) throw new Error("the tarball has no dist: build first");
  const strays = files.filter((file) => /\.test\.|\/src\/|\/test\/|tsconfig|\.tsbuildinfo/.test(file));
  if (strays.length > 0) throw new Error(`the tarball has what nobody uses: ${strays.join(", ")}`);
}

/** @param {string} tarball */
export async function checkPublint(tarball) {
  const bytes = readFileSync(tarball);
  const archive = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const { messages, pkg } = await publint({ pack: { tarball: archive }, strict: true });
  if (messages.length > 0) {
    throw new Error(messages.map((message) => formatMessage(message, pkg, { color: false })).join("\n"));
  }
}

/** @param {string} tarball */
export function checkTypesWrong(tarball) {
  const cli = path.join(path.dirname(require.resolve("@arethetypeswrong/cli/package.json")), "dist/index.js");
  run(process.execPath, [cli, tarball, "--profile", "node16", "--no-color"], { cwd: path.dirname(tarball) });
}
