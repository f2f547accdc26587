import { existsSync } from "node:fs";
import path from "node:path";

/** Where the addon runs without a compiler. */
const PLATFORMS = ["linux-x64", "linux-arm64", "win32-x64"];

/**
 * The binaries that a package with an addon lacks; without them it would be published for nobody.
 *
 * @param {string} root
 * @param {import("./workspace.mjs").WorkspacePackage} pack
 * @returns {string[]} relative to the root
 */
export function missingPrebuilds(root, { folder, manifest }) {
  const versions = manifest.binary?.napi_versions ?? [];
  return PLATFORMS.flatMap((platform) =>
    versions.map(
      (/** @type {number} */ version) => `${folder}/prebuilds/kv_native-${platform}/node-napi-v${version}.node`,
    ),
  ).filter((file) => !existsSync(path.join(root, file)));
}
