import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** Where the package stands, and what it is loaded from when it is installed. */
export const packageFolder: string = fileURLToPath(new URL("..", import.meta.url));
export const builtPackage: string = path.join(packageFolder, "dist", "index.cjs");
const fakeDriver = path.join(packageFolder, "build", "Release", "libkv_fake_cuda.so");

/** Settings of the environment under which "cuda:0" is the stand-in for the driver, which is no GPU. */
export const FAKE_CUDA: Record<string, string> = { KV_LIBCUDA: fakeDriver };

/** The package as built: its source would look for the addon beside another folder. */
export const built: typeof import("../index.ts") = createRequire(import.meta.url)(builtPackage);
