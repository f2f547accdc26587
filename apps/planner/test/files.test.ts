import { findPreset } from "@kv/config/presets";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PATIENCE_MS, Site, skipsBrowser } from "./browser.ts";
import { ggufBytes } from "./gguf-bytes.ts";
import type { PlannerPage } from "./planner-page.ts";

const GGUF = {
  "general.architecture": "gemma3",
  "general.name": "Small Gemma",
  "tokenizer.ggml.tokens": Array.from({ length: 5000 }, (_, i) => `token ${i}`),
  "gemma3.block_count": 12,
  "gemma3.context_length": 8192,
  "gemma3.embedding_length": 1024,
  "gemma3.attention.head_count": 8,
  "gemma3.attention.head_count_kv": 4,
  "gemma3.attention.key_length": 128,
  "gemma3.attention.value_length": 128,
  "gemma3.attention.sliding_window": 512,
};

/** Pastes a text as a person does: into the focused field, from the clipboard. */
async function paste({ page }: PlannerPage, text: string): Promise<void> {
  await page.evaluate((copied) => navigator.clipboard.writeText(copied), text);
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Control+V");
  await page.waitForFunction((copied) => (document.activeElement as HTMLTextAreaElement).value === copied, text);
}

describe.skipIf(skipsBrowser)("a model of one's own", { timeout: PATIENCE_MS }, () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.start();
  }, PATIENCE_MS);
  afterAll(async () => {
    await site.stop();
  }, PATIENCE_MS);

  async function openForPaste(): Promise<PlannerPage> {
    const planner = await site.open("context=8192&sequences=1", { permissions: ["clipboard-read", "clipboard-write"] });
    await planner.field("Preset").selectOption("own");
    await planner.field("config.json, or GGUF").click();
    return planner;
  }

  test("starts from the preset that was shown", async () => {
    const planner = await openForPaste();
    const source = await planner.field("config.json, or GGUF").inputValue();
    expect(JSON.parse(source)).toEqual(findPreset("llama-3-8b")?.config);
    expect(await planner.figure("The whole cache")).toBe("1 GiB");
  });

  test("is pasted as a config.json", async () => {
    const planner = await openForPaste();
    const config = { model_type: "gemma3_text", num_hidden_layers: 12, hidden_size: 640, num_attention_heads: 4 };
    await paste(planner, JSON.stringify({ ...config, num_key_value_heads: 1, head_dim: 256, sliding_window: 512 }));
    expect(await planner.errorAt("config.json, or GGUF")).toBe("");
    // Every sixth layer is full by the class's default, which the page says.
    expect(await planner.rows("1 × 8,192 tokens")).toEqual([
      ["Sliding window", "10 (0–4, 6–10)", "last 512 tokens, 1 KV head × 256", "5 MiB", "512 KiB", "23.8%"],
      ["Full attention", "2 (5, 11)", "1 KV head × 256", "16 MiB", "8 MiB", "76.2%"],
    ]);
    expect(await planner.page.getByText("sliding_window_pattern is missing: 6, the default").isVisible()).toBe(true);
  });

  test("that is cut off is refused beside the text, which stays", async () => {
    const planner = await openForPaste();
    const cut = '{"model_type": "llama", "num_hidden_layers": 3';
    await paste(planner, cut);
    expect(await planner.errorAt("config.json, or GGUF")).toMatch(/^config must be JSON \(.+\), got /);
    expect(await planner.field("config.json, or GGUF").inputValue()).toBe(cut);
    await planner.page.keyboard.type("2, ");
    expect(await planner.field("config.json, or GGUF").inputValue()).toBe(`${cut}2, `);
  });

  test("that is not known is refused by name", async () => {
    const planner = await openForPaste();
    await paste(planner, '{"model_type": "abacus-9", "num_hidden_layers": 4}');
    expect(await planner.errorAt("config.json, or GGUF")).toContain('model type "abacus-9": model_type is "abacus-9"');
    await paste(
      planner,
      '{"model_type": "llama", "num_hidden_layers": -4, "hidden_size": 64, "num_attention_heads": 4}',
    );
    expect(await planner.errorAt("config.json, or GGUF")).toContain("num_hidden_layers must be a whole number");
  });

  test("is dropped as a GGUF file, whose tensors are its weights", async () => {
    const planner = await site.open("context=&sequences=1&weights=");
    const file = ggufBytes(GGUF, 4096);
    await planner.drop("small.gguf", file);
    expect(await planner.fileStatus()).toBe("Model from small.gguf");
    expect(await planner.page.locator(".model").textContent()).toBe("small.gguf, fp16, rule exact");
    const rows = await planner.rows("1 × 8,192 tokens");
    expect(rows.map(([kind, layers, holds]) => [kind, layers, holds])).toEqual([
      ["Sliding window", "10 (0–4, 6–10)", "last 512 tokens, 4 KV heads × 128"],
      ["Full attention", "2 (5, 11)", "4 KV heads × 128"],
    ]);
    expect(await planner.field("Weights").inputValue()).toBe(String(4096));
    const source = JSON.parse(await planner.field("config.json, or GGUF").inputValue()) as object;
    expect(Object.keys(source)).not.toContain("tokenizer.ggml.tokens");
    expect(planner.faults).toEqual([]);
  });

  test("goes into the address from the head of a GGUF file alone", async () => {
    const planner = await site.open("weights=1GB");
    await planner.drop("head.gguf", ggufBytes(GGUF));
    expect(await planner.field("Weights").inputValue()).toBe("");
    await planner.page.waitForFunction(() => location.hash.includes("source="));
    expect(planner.page.url().length).toBeLessThan(800);
    const second = await site.open(new URL(planner.page.url()).hash.slice(1));
    expect(await second.verdict()).toBe(await planner.verdict());
    expect(await second.rows("8 × 8,192 tokens")).toEqual(await planner.rows("8 × 8,192 tokens"));
  });

  test("that is a broken GGUF file changes nothing", async () => {
    const planner = await site.open();
    const whole = ggufBytes(GGUF);
    for (const [name, bytes, reason] of [
      ["cut.gguf", whole.subarray(0, whole.indexOf("gemma3.attention.head_count_kv") - 8), "ends before its metadata"],
      ["other.gguf", Buffer.from("not a model at all"), "not a GGUF file"],
    ] as const) {
      await planner.drop(name, bytes);
      await planner.page.locator(".file-status", { hasText: name }).waitFor();
      expect(await planner.fileStatus()).toContain(reason);
      expect(await planner.field("Preset").inputValue()).toBe("llama-3-8b");
      expect(await planner.verdict()).toBe("Fits, 1.03 GiB left");
    }
    expect(planner.faults).toEqual([]);
  });

  test("is chosen from a folder, and an index of safetensors says what the weights take", async () => {
    const planner = await site.open("weights=");
    const index = JSON.stringify({ metadata: { total_size: 16_060_522_496 }, weight_map: {} });
    await planner.drop("model.safetensors.index.json", index);
    expect(await planner.fileStatus()).toBe("Weights from model.safetensors.index.json");
    expect(await planner.field("Weights").inputValue()).toBe("16060522496");
    const config = { ...findPreset("qwen2.5-0.5b")?.config };
    const buffer = Buffer.from(JSON.stringify(config));
    await planner.page.locator("#file").setInputFiles({ name: "config.json", mimeType: "application/json", buffer });
    await planner.page.getByText("Model from config.json").waitFor();
    expect(await planner.figure("One more token")).toBe("12 KiB");
    await planner.drop("model.safetensors.index.json", '{"metadata": {}, "weight_map": {}}');
    await planner.page.getByText("metadata.total_size must be").waitFor();
  });
});
