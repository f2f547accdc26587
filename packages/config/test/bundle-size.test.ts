import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";

const folder = fileURLToPath(new URL("..", import.meta.url));

async function bundle(source: string): Promise<{ text: string; gzipBytes: number }> {
  const result = await build({
    stdin: { contents: source, resolveDir: folder, loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
  });
  const text = result.outputFiles[0]?.text ?? "";
  return { text, gzipBytes: gzipSync(text, { level: 9 }).length };
}

describe("what a browser page downloads", () => {
  test("the sizes alone are small and carry neither the readers nor the presets", async () => {
    const { text, gzipBytes } = await bundle(
      `import { calculateSize, sizeOf } from "./src/index.ts"; globalThis.kv = { calculateSize, sizeOf };`,
    );
    expect(gzipBytes).toBeLessThan(20_000);
    expect(text).toContain("INVALID_CONFIG");
    expect(text).not.toContain("kv_lora_rank");
    expect(text).not.toContain("attention.head_count_kv");
    expect(text).not.toContain("Qwen/");
  });

  test("the sizes together with the reader of configurations stay below 20 kB", async () => {
    const { text, gzipBytes } = await bundle(
      `import { fromHuggingFace, sizeOf } from "./src/index.ts"; globalThis.kv = { fromHuggingFace, sizeOf };`,
    );
    expect(gzipBytes).toBeLessThan(20_000);
    expect(text).toContain("kv_lora_rank");
  });

  test("the whole of a planner: readers, every rule, the plan", async () => {
    const { text, gzipBytes } = await bundle(
      `import { fromHuggingFace, planReport, sizeReport } from "./src/index.ts"; globalThis.kv = { fromHuggingFace, planReport, sizeReport };`,
    );
    expect(gzipBytes).toBeLessThan(30_000);
    expect(text).not.toContain("Qwen/");
  });

  test("the presets are an entry point of their own", async () => {
    const { text, gzipBytes } = await bundle(
      `import { MODEL_PRESETS, presetShape } from "./src/presets.ts"; globalThis.kv = { MODEL_PRESETS, presetShape };`,
    );
    expect(text).toContain("Qwen/");
    expect(gzipBytes).toBeLessThan(30_000);
  });

  test("the library needs nothing at run time", () => {
    const manifest = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
    expect(manifest.dependencies).toBeUndefined();
    expect(manifest.sideEffects).toBe(false);
  });
});
