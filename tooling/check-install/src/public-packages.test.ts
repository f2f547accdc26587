import { expect, test } from "vitest";
import { describePackage } from "./public-packages.mjs";

test("tells what a user imports and runs", () => {
  const manifest = {
    name: "@kv/vram-tracker",
    exports: { ".": {}, "./prometheus": {}, "./package.json": "./package.json" },
    bin: { kv: "./dist/kv.js" },
    peerDependencies: { "@kv/config": "^1.0.0", "prom-client": "^15.0.0" },
  };
  expect(describePackage("/packages/vram-tracker", manifest)).toEqual({
    name: "@kv/vram-tracker",
    folder: "/packages/vram-tracker",
    entryPoints: ["@kv/vram-tracker", "@kv/vram-tracker/prometheus"],
    binaries: ["kv"],
    optionalPeers: { "prom-client": "^15.0.0" },
    runsInBrowser: true,
  });
});

test("a package with a command alone has no entry point", () => {
  const manifest = { name: "@kv/cli", bin: "./dist/kv.js", exports: { "./package.json": "./package.json" } };
  expect(describePackage("/packages/cli", manifest)).toMatchObject({ entryPoints: [], binaries: ["cli"] });
});
