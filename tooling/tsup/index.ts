import { defineConfig, type Options } from "tsup";

/** The build of a library package: ESM and CJS with types for each entry point. */
export function library(overrides: Options = {}): ReturnType<typeof defineConfig> {
  return defineConfig({
    entry: ["src/index.ts"],
    format: ["esm", "cjs"],
    target: "node20.19",
    sourcemap: true,
    clean: true,
    silent: true,
    treeshake: true,
    dts: { compilerOptions: { ignoreDeprecations: "6.0" } }, // tsup 8.5 sets baseUrl itself: TS5101 under TypeScript 6
    ...overrides,
  });
}
