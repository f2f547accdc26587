import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PATIENCE_MS, Site, skipsBrowser } from "./browser.ts";
import { type PlannerPage, textOf } from "./planner-page.ts";

/** All that a page shows of its inputs and of what follows from them. */
async function shown({ page }: PlannerPage): Promise<unknown> {
  const controls = await page.$$eval("#form input:not([type=file]), #form select, #form textarea", (all) =>
    all.map((each) => {
      const control = each as HTMLInputElement;
      return [control.name, control.type === "checkbox" ? control.checked : control.value];
    }),
  );
  return {
    controls,
    errors: await page.locator(".error:visible").allTextContents(),
    result: await textOf(page.locator("#result")),
  };
}

/** Presses Tab until the control with this name has the focus; its outline must be seen. */
async function tabTo({ page }: PlannerPage, name: string): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const at = document.activeElement as HTMLInputElement | null;
      const label = at?.labels?.[0]?.textContent ?? at?.getAttribute("aria-label") ?? at?.textContent ?? "";
      return { label, outline: at === null ? "" : getComputedStyle(at).outlineStyle };
    });
    if (!focused.label.startsWith(name)) continue;
    expect(focused.outline).not.toBe("none");
    return;
  }
  throw new Error(`Tab never reached ${name}`);
}

/**
 * Chooses in the focused list by the arrow keys. Typing a choice's name would work too, but only as fast as the browser expects:
 * a second between two letters starts another name.
 */
async function choose({ page }: PlannerPage, value: string): Promise<void> {
  const chosen = (): Promise<string> => page.evaluate(() => (document.activeElement as HTMLSelectElement).value);
  await page.keyboard.press("Home");
  for (let last = ""; (await chosen()) !== value; ) {
    if (last === (await chosen())) throw new Error(`the list has no ${value}`);
    last = await chosen();
    await page.keyboard.press("ArrowDown");
  }
}

describe.skipIf(skipsBrowser)("the page's address", { timeout: PATIENCE_MS }, () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.start();
  }, PATIENCE_MS);
  afterAll(async () => {
    await site.stop();
  }, PATIENCE_MS);

  test("carries everything that was entered to another window", async () => {
    const first = await site.open();
    await first.field("Preset").selectOption("deepseek-v3");
    await first.field("Card").selectOption("other");
    await first.type("Memory of one card", "141GB");
    await first.type("Weights", "689GB");
    await first.type("Keep free", "2GiB");
    await first.type("tensor-parallel", "8");
    await first.type("Sequences", "32");
    await first.field("Type of keys").selectOption("fp8_e4m3");
    await first.field("MTP").check();
    await first.field("Engine's rule").selectOption("vllm");
    await first.page.getByText("Knobs of vllm").click();
    await first.type("--block-size", "64");
    await first.field("--async-scheduling").check();
    await first.page.waitForFunction(() => location.hash.includes("asyncScheduling"));
    const address = first.page.url();
    expect(decodeURIComponent(new URL(address).hash)).toBe(
      "#model=deepseek-v3&mtp=true&card=other&memory=141GB&weights=689GB&reserve=2GiB&tp=8&keys=fp8_e4m3&sequences=32" +
        "&rule=vllm&vllm.blockSize=64&vllm.asyncScheduling=true",
    );
    const second = await site.open(new URL(address).hash.slice(1));
    expect(await shown(second)).toEqual(await shown(first));
    expect(second.faults).toEqual([]);
  });

  test("carries a model of one's own and what is wrong", async () => {
    const first = await site.open("model=own&source=");
    const source = '{\n  "model_type": "gemma3_text",\n  "note": "κλειδί <b>&\\u0000</b>",';
    await first.field("config.json, or GGUF").fill(source);
    await first.type("tokens of each sequence", "a lot");
    await first.page.waitForFunction(() => location.hash.includes("a+lot"));
    const second = await site.open(new URL(first.page.url()).hash.slice(1));
    expect(await second.field("config.json, or GGUF").inputValue()).toBe(source);
    expect(await second.field("tokens of each sequence").inputValue()).toBe("a lot");
    expect(await second.errorAt("config.json, or GGUF")).toBe(await first.errorAt("config.json, or GGUF"));
    expect(await second.errorAt("config.json, or GGUF")).toContain("JSON");
  });

  test("shows another plan when it changes, and none of the last when it is started over", async () => {
    const planner = await site.open("sequences=16");
    await planner.page.evaluate(() => {
      location.hash = "sequences=2&context=4096";
    });
    await planner.page.locator("#verdict", { hasText: "8.03 GiB left" }).waitFor();
    await planner.page.getByRole("button", { name: "Start over" }).click();
    expect(await planner.verdict()).toBe("Fits, 1.03 GiB left");
    await planner.page.waitForFunction(() => location.hash === "");
  });

  test("survives any fragment", async () => {
    const planner = await site.open();
    for (const fragment of [
      "%E0%A4%A",
      "model=__proto__&rule=constructor",
      "source=!!!&model=own",
      "a=b&&=&#",
      "toString.x=1",
    ]) {
      await planner.page.goto("about:blank");
      await planner.goto(fragment);
      expect(await planner.page.getByRole("button", { name: "Copy link" }).isVisible()).toBe(true);
      expect(planner.faults).toEqual([]);
    }
  });

  test("is planned, moved along the chart, improved and copied by the keyboard alone", async () => {
    const planner = await site.open("", { permissions: ["clipboard-read", "clipboard-write"] });
    const { keyboard } = planner.page;
    await tabTo(planner, "Preset");
    await choose(planner, "qwen2.5-7b");
    expect(await planner.field("Preset").inputValue()).toBe("qwen2.5-7b");
    await tabTo(planner, "Weights");
    await keyboard.type("15.23GB");
    await tabTo(planner, "Context");
    await keyboard.press("Control+A");
    await keyboard.type("32768");
    await tabTo(planner, "Engine's rule");
    await choose(planner, "llama.cpp");
    expect(await planner.field("Engine's rule").inputValue()).toBe("llama.cpp");
    await tabTo(planner, "Knobs of llama.cpp");
    await keyboard.press("Enter");
    await tabTo(planner, "--flash-attn");
    await keyboard.press("Space");
    expect(await planner.field("--flash-attn").isChecked()).toBe(false);
    await keyboard.press("Space");
    expect(await planner.verdict()).toBe("Does not fit, 4.2 GiB too much");
    await tabTo(planner, "Context, tokens, on the chart");
    const before = await planner.field("tokens of each sequence").inputValue();
    await keyboard.press("ArrowLeft");
    expect(Number(await planner.field("tokens of each sequence").inputValue())).toBeLessThan(Number(before));
    await keyboard.press("ArrowRight");
    expect(await planner.field("tokens of each sequence").inputValue()).toBe(before);
    await tabTo(planner, "The chart as a table");
    await keyboard.press("Enter");
    expect((await planner.rows("Memory of one card")).length).toBeGreaterThan(4);
    await tabTo(planner, "Apply format: fp16 → q8_0");
    await keyboard.press("Enter");
    expect(await planner.verdict()).toBe("Fits, 2.37 GiB left");
    await planner.page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    await tabTo(planner, "Copy link");
    await keyboard.press("Enter");
    await planner.page.getByText("Copied").waitFor();
    expect(await planner.page.evaluate(() => navigator.clipboard.readText())).toBe(planner.page.url());
    expect(planner.faults).toEqual([]);
  });
});
