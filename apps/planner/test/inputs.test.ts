import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PATIENCE_MS, Site, skipsBrowser } from "./browser.ts";
import { textOf } from "./planner-page.ts";

const GIB = 2 ** 30;

describe.skipIf(skipsBrowser)("the page's inputs", { timeout: PATIENCE_MS }, () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.start();
  }, PATIENCE_MS);
  afterAll(async () => {
    await site.stop();
  }, PATIENCE_MS);

  test("it opens with a plan, and asks for nothing beyond its own files", async () => {
    const planner = await site.open();
    expect(await planner.page.title()).toBe("KV cache planner");
    expect(await planner.verdict()).toMatch(/^Fits, 1\.03 GiB left$/);
    // 2 × 32 layers × 8 heads × 128 × 2 bytes.
    expect(await planner.figure("One more token")).toBe("128 KiB");
    expect(await planner.figure("The whole cache")).toBe("8 GiB");
    expect(planner.faults).toEqual([]);
  });

  test("a preset is picked and numbers are typed", async () => {
    const planner = await site.open();
    await planner.field("Preset").selectOption({ label: "Meta-Llama-3.1-70B" });
    expect(await planner.field("Weights").inputValue()).toBe("");
    await planner.field("Card").selectOption("h100-80gb");
    await planner.type("Weights", "141GB");
    await planner.type("tensor-parallel", "4");
    await planner.type("tokens of each sequence", "131,072");
    await planner.type("Sequences", "4");
    // 2 × 80 layers × 8 heads × 128 × 2 bytes × 131072 tokens × 4 sequences, a quarter on each card.
    expect(await planner.figure("The whole cache")).toBe("160 GiB on 4 cards");
    expect(await planner.parts()).toEqual(
      new Map([
        ["Weights", Math.floor(32.83 * GIB)],
        ["Full attention", 40 * GIB],
        ["Free", Math.floor(6.82 * GIB)],
      ]),
    );
    await planner.field("Type of values").selectOption("fp8_e4m3");
    expect(await planner.figure("The whole cache")).toBe("120 GiB on 4 cards");
    expect(planner.faults).toEqual([]);
  });

  test("an engine's rule brings its own knobs and figures", async () => {
    const planner = await site.open("model=gemma-3-27b-it&card=h100-80gb&weights=&context=32768&sequences=1");
    await planner.field("Engine's rule").selectOption("llama.cpp");
    await planner.page.getByText("Knobs of llama.cpp").click();
    const swa = async (): Promise<string | undefined> =>
      (await planner.rows("As llama.cpp prints it")).find(([name]) => name === "swa")?.[1];
    expect(await swa()).toContain("(1536 cells, 52 layers");
    await planner.field("--swa-full").check();
    expect(await swa()).toContain("(32768 cells, 52 layers");
    await planner.field("Engine's rule").selectOption("vllm");
    expect(await planner.page.getByText("--swa-full").count()).toBe(0);
    expect((await planner.rows("As vllm prints it")).map(([name]) => name)).toContain("num_gpu_blocks");
    await planner.field("Engine's rule").selectOption("llama.cpp");
    expect(await planner.field("--swa-full").isChecked()).toBe(true);
  });

  test("an error stays beside its input in the library's words, and nothing is lost", async () => {
    const planner = await site.open();
    await planner.type("tokens of each sequence", "-5");
    expect(await planner.errorAt("tokens of each sequence")).toBe(
      "tokens must be a whole number from 0 to 9007199254740991, got -5",
    );
    expect(await planner.field("tokens of each sequence").getAttribute("aria-invalid")).toBe("true");
    expect(await planner.field("tokens of each sequence").inputValue()).toBe("-5");
    expect(await textOf(planner.page.getByRole("alert"))).toContain("Not updated");
    expect(await planner.verdict()).toBe("Fits, 1.03 GiB left");
    await planner.type("Weights", "heavy");
    expect(await planner.errorAt("Weights")).toContain('got "heavy"');
    expect(await planner.errorAt("tokens of each sequence")).toContain("got -5");
    await planner.type("Weights", "16.06GB");
    await planner.type("tokens of each sequence", "9000");
    expect(await planner.errorAt("tokens of each sequence")).toBe("");
    expect(await planner.page.getByRole("alert").isVisible()).toBe(false);
    expect(await planner.verdict()).toBe("Fits, 247.99 MiB left");
  });

  test("a suggestion is applied", async () => {
    const planner = await site.open("sequences=16");
    expect(await planner.verdict()).toMatch(/^Does not fit, 6\.97 GiB too much$/);
    await planner.page.getByRole("button", { name: /^Apply format: fp16 → fp8_e4m3/ }).click();
    expect(await planner.verdict()).toBe("Fits, 1.03 GiB left");
    expect(await planner.field("Type of keys").inputValue()).toBe("fp8_e4m3");
    expect(await planner.page.getByText("What would make it fit").isVisible()).toBe(false);
  });

  test("every control has a label and every table a caption", async () => {
    const planner = await site.open("rule=vllm&model=own&card=other");
    const unlabelled = await planner.page.$$eval("input, select, textarea", (controls) =>
      controls.filter((each) => ((each as HTMLInputElement).labels?.length ?? 0) === 0).map((each) => each.outerHTML),
    );
    expect(unlabelled).toEqual([]);
    expect(await planner.page.locator("button", { hasText: /^$/ }).count()).toBe(0);
    expect(await planner.page.locator("table:not(:has(caption))").count()).toBe(0);
  });
});
