import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const reportFile = `test-results/${process.env["npm_lifecycle_event"]?.replace(":", "-") ?? "test"}.json`;

/** CUDA ordinals to run the device suites on: `KV_TEST_DEVICES=0,1`; the first one unless told otherwise. */
function cudaOrdinals(): string[] {
  return (process.env["KV_TEST_DEVICES"] ?? "0").split(",");
}

/**
 * Tests of one package, as vitest projects: `unit` (beside the source), `host` (the device suites on the host) and
 * `cuda-N` (the same suites on a GPU). A device suite is `test/*.device.test.ts`; it asks `inject("device")` where to run.
 */
export function kvVitest(): ViteUserConfig {
  const deviceProject = (name: string, device: string): object => ({
    test: {
      name,
      include: ["test/**/*.device.test.ts"],
      globalSetup: [here("./device-setup.ts")],
      provide: { device },
      fileParallelism: false,
      testTimeout: 300_000,
      hookTimeout: 300_000,
    },
  });
  return defineConfig({
    test: {
      reporters: ["default", ["json", { outputFile: reportFile }]],
      passWithNoTests: true,
      projects: [
        {
          test: {
            name: "unit",
            include: ["src/**/*.test.ts", "test/**/*.test.ts"],
            exclude: ["test/**/*.device.test.ts", "**/node_modules/**"],
            testTimeout: 300_000,
            hookTimeout: 300_000,
          },
        },
        deviceProject("host", "host"),
        ...cudaOrdinals().map((ordinal) => deviceProject(`cuda-${ordinal}`, `cuda:${ordinal}`)),
      ],
    },
  });
}
