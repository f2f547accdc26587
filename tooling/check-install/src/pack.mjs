import path from "node:path";
import { run } from "./commands.mjs";

/**
 * Packs a package as pnpm would publish it.
 *
 * @param {import("./public-packages.mjs").PublicPackage} pack
 * @param {string} destination
 * @returns {string} the tarball
 */
export function packPackage({ folder }, destination) {
  const pnpm = process.env["npm_execpath"];
  if (pnpm === undefined || !pnpm.includes("pnpm")) throw new Error("run it as `npm run check:install`");
  const output = run(process.execPath, [pnpm, "pack", "--json", "--pack-destination", destination], { cwd: folder });
  return path.resolve(destination, JSON.parse(output).filename);
}
