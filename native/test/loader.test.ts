import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AddonNotFoundError } from "../errors.ts";
import { type built, packageFolder } from "./addon.ts";

// The package as it is installed, without the addon, or with one that cannot be loaded here.

type Package = typeof built;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "kv-native-"));
  cpSync(path.join(packageFolder, "dist"), path.join(folder, "dist"), { recursive: true });
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ type: "module" }));
  symlinkSync(path.join(packageFolder, "node_modules"), path.join(folder, "node_modules"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const required = (): Package => createRequire(import.meta.url)(path.join(folder, "dist", "index.cjs")) as Package;
const imported = async (): Promise<Package> => {
  const module: unknown = await import(pathToFileURL(path.join(folder, "dist", "index.js")).href);
  return module as Package;
};

function failureOf(load: () => unknown): AddonNotFoundError {
  try {
    load();
  } catch (error) {
    return error as AddonNotFoundError;
  }
  throw new Error("it was loaded");
}

function put(file: string, content: string): void {
  mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
  writeFileSync(path.join(folder, file), content);
}

describe("without an addon", () => {
  test.each([
    ["required", async () => required()],
    ["imported", imported],
  ])("the package can be %s; its first use says what is missing and what to do", async (_, load) => {
    const loaded = await load();
    const error = failureOf(() => loaded.native());
    expect(error).toBeInstanceOf(loaded.AddonNotFoundError);
    expect(error.code).toBe("ADDON_NOT_FOUND");
    expect(error.platform).toBe(`${process.platform}-${process.arch}, Node ${process.versions.node}`);
    expect(error.message).toContain("kv_native.node");
    expect(error.message).toContain(error.platform);
    expect(error.message).toContain(path.join(folder, "build", "Release"));
    expect(error.message).toContain(path.join(folder, "prebuilds"));
    expect(error.message).toContain("npm install @kv/native");
    expect(error.message).toMatch(/apt-get install -y cmake g\+\+.*pnpm build/);
    expect(error.cause).toBeInstanceOf(Error);
    expect(failureOf(() => loaded.listDevices())).toMatchObject({ code: "ADDON_NOT_FOUND" });
  });

  test("a later attempt finds one that was built meanwhile", () => {
    const loaded = required();
    expect(failureOf(() => loaded.native()).code).toBe("ADDON_NOT_FOUND");
    symlinkSync(path.join(packageFolder, "build"), path.join(folder, "build"));
    expect(loaded.listDevices()[0]?.name).toBe("host");
  });
});

test("the addon of another platform is not taken for this one's", () => {
  put("prebuilds/kv_native-plan9-mips/node-napi-v8.node", "not for here");
  expect(failureOf(() => required().native())).toMatchObject({ code: "ADDON_NOT_FOUND" });
});

test("an addon that cannot be loaded is named, with the reason", () => {
  put("build/Release/kv_native.node", "no machine code");
  const error = failureOf(() => required().native());
  expect(error.code).toBe("ADDON_NOT_FOUND");
  expect(error.message).toContain("could not be loaded");
  expect(error.message).toContain(path.join(folder, "build", "Release", "kv_native.node"));
});
