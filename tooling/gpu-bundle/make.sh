#!/usr/bin/env bash
# Makes one archive that runs the GPU tests and benchmarks on a Linux machine with a driver and nothing else.
#   make.sh [out.tar]      needs a built repository
# It holds node.tar.xz and app.tar.gz; there:
#   tar xf kv-gpu.tar && tar xJf node.tar.xz && tar xzf app.tar.gz && kv-gpu/run.sh
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
out=$(realpath -m "${1:-$repo/kv-gpu.tar}")
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
top=$stage/kv-gpu
mkdir -p "$top/bin" "$stage/out"

pnpm() { npx -y "$(node -p "require('$repo/package.json').packageManager.split('+')[0]")" "$@"; }

# Sources of the tests, built packages, the addon with its kernels, and the probe of the bare driver.
(
  cd "$repo"
  {
    git ls-files -z -- package.json pnpm-workspace.yaml pnpm-lock.yaml packages native/package.json benchmarks examples/data tooling/vitest tooling/tsconfig tooling/tsup
    find packages/*/dist native/dist benchmarks/dist native/build/Release -type f ! -name '*.map' ! -name '*fake*' -print0
  } | sort -zu | tar cf - --null -T -
) | tar xf - -C "$top"
strip -g "$top"/native/build/Release/*
cp "$repo"/tooling/gpu-bundle/{run.sh,report.mjs} "$top/"

# Only what runs there: no compilers, linters or bundlers.
node - "$top" <<'JS'
const fs = require("node:fs");
const path = require("node:path");
const top = process.argv[2];
function edit(file, change) {
  const manifest = JSON.parse(fs.readFileSync(file, "utf8"));
  change(manifest);
  fs.writeFileSync(file, JSON.stringify(manifest, null, 2));
}
edit(path.join(top, "package.json"), (manifest) => {
  const kept = ["vitest", "vite", "fast-check"].map((name) => [name, manifest.devDependencies[name]]);
  manifest.devDependencies = Object.fromEntries(kept);
  manifest.scripts = {};
  delete manifest.packageManager;
});
const folders = fs.readdirSync(path.join(top, "packages")).map((name) => `packages/${name}`);
for (const folder of [...folders, "native", "benchmarks"]) {
  edit(path.join(top, folder, "package.json"), (manifest) => {
    const ours = Object.entries(manifest.devDependencies ?? {}).filter(([, version]) => version.startsWith("workspace:"));
    manifest.devDependencies = Object.fromEntries(ours);
    delete manifest.peerDependencies;
    delete manifest.peerDependenciesMeta;
  });
}
const workspace = "packages: [packages/*, native, benchmarks]\nautoInstallPeers: false\n";
fs.writeFileSync(path.join(top, "pnpm-workspace.yaml"), workspace);
JS
(cd "$top" && CI=1 pnpm install --ignore-scripts --prefer-offline --no-frozen-lockfile) >"$stage/install.log" 2>&1 || {
  cat "$stage/install.log" >&2
  exit 1
}
# The maps stay behind; without this, vitest complains of each.
find "$top"/packages/*/dist "$top/native/dist" -name '*.*js' -exec sed -i '/^\/\/# sourceMappingURL=/d' {} +
find "$top/node_modules" \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -iname 'README*' -o -iname 'CHANGELOG*' \) -type f -delete
rm -rf "$top"/node_modules/.pnpm/{@types+*,typescript@*,esbuild@*,@esbuild+*}

commit=$(git -C "$repo" rev-parse HEAD)
[ -z "$(git -C "$repo" status --porcelain -- native packages benchmarks)" ] || commit="$commit, with local changes"
printf '%s\n' "$commit" >"$top/COMMIT"

node=$(readlink -f "$(command -v node)")
cache=$repo/node_modules/.cache/kv-gpu
mkdir -p "$cache"
packed_node=$cache/node-$(node -p 'process.version + "-" + process.arch').tar.xz
if [ ! -f "$packed_node" ]; then
  mkdir -p "$stage/node/kv-gpu/bin"
  cp "$node" "$stage/node/kv-gpu/bin/node"
  strip "$stage/node/kv-gpu/bin/node" || true
  tar cf - -C "$stage/node" --owner=0 --group=0 kv-gpu | xz -T0 -6 >"$packed_node.part"
  mv "$packed_node.part" "$packed_node"
fi
cp "$packed_node" "$stage/out/node.tar.xz"
tar czf "$stage/out/app.tar.gz" -C "$stage" --sort=name --owner=0 --group=0 kv-gpu
tar cf "$out" -C "$stage/out" node.tar.xz app.tar.gz
printf '%s, %s MiB, commit %s\n' "$out" "$(($(stat -c %s "$out") / 1048576))" "$commit"
