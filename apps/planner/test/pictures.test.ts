import { parseBytes } from "@kv/config";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PATIENCE_MS, Site, skipsBrowser } from "./browser.ts";
import { type Color, countColors, type Pixels, paletteOf, pixelsOf } from "./pixels.ts";
import { type PlannerPage, textOf } from "./planner-page.ts";

/** Labels of parts by the names of their colours. */
const PARTS = {
  "part-weights": "Weights",
  "part-reserve": "Kept free",
  "part-state": "Recurrent state",
  "part-sliding": "Sliding window",
  "part-full": "Full attention",
  "part-latent": "Latent attention",
  "part-padding": "Padding of blocks",
  free: "Free",
} as const;

const PLANS = [
  "card=h100-80gb&reserve=8GiB&weights=20GB&sequences=24",
  "model=gemma-3-27b-it&weights=28GB&card=h100-80gb&context=65536&sequences=4&rule=vllm",
  "model=qwen3-next-80b-a3b-instruct&weights=20GB&card=l40s&context=65536&sequences=12&reserve=2GiB",
  "model=deepseek-v3&weights=400GB&tp=8&card=h100-80gb&sequences=16&rule=vllm",
] as const;

/** Of a screenshot of the bar, the share of its width that has the colour of each part. */
async function barShares(planner: PlannerPage): Promise<Map<string, number>> {
  const { page } = planner;
  const pixels = await pixelsOf(page, await planner.picture(".track"));
  const counts = countColors(pixels.row(pixels.height / 2), await paletteOf(page, Object.keys(PARTS)));
  return new Map([...counts].map(([name, count]) => [name, count / pixels.width]));
}

/** The plot of the chart, which is painted on a canvas below an empty layer of its size. */
async function plotOf(planner: PlannerPage): Promise<Pixels> {
  return await pixelsOf(planner.page, await planner.picture(".u-over"));
}

function luminance([red, green, blue]: Color): number {
  const linear = [red, green, blue].map((value) => {
    const share = value / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0);
}

/** Every text that is seen, its colour, and the colour behind it. */
async function texts({ page }: PlannerPage): Promise<{ text: string; ink: number[]; behind: number[] }[]> {
  return await page.evaluate(() => {
    const rgb = (color: string): number[] =>
      /[\d.]+/g.exec(color) === null ? [] : (color.match(/[\d.]+/g) ?? []).map(Number);
    const behind = (element: Element | null): number[] => {
      const color = element === null ? [] : rgb(getComputedStyle(element).backgroundColor);
      return element === null || color[3] !== 0 ? color : behind(element.parentElement);
    };
    const own = (element: Element): boolean =>
      [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim() !== "");
    return [...document.querySelectorAll("body *")]
      .filter((element) => own(element) && (element as HTMLElement).checkVisibility() && element.tagName !== "OPTION")
      .map((element) => {
        const ink = rgb(getComputedStyle(element).color);
        return { text: element.textContent ?? "", ink, behind: behind(element) };
      });
  });
}

describe.skipIf(skipsBrowser)("the page's pictures", { timeout: PATIENCE_MS }, () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.start();
  }, PATIENCE_MS);
  afterAll(async () => {
    await site.stop();
  }, PATIENCE_MS);

  test.each(PLANS)("the bar is coloured as its table says: %s", async (fragment) => {
    const planner = await site.open(fragment);
    for (const colorScheme of ["light", "dark"] as const) {
      await planner.page.emulateMedia({ colorScheme });
      const shares = await barShares(planner);
      const parts = await planner.parts();
      const whole = [...parts.values()].reduce((total, bytes) => total + bytes, 0);
      expect(parts.size).toBeGreaterThan(2);
      for (const [color, label] of Object.entries(PARTS)) {
        const expected = (parts.get(label) ?? 0) / whole;
        expect([label, Math.abs((shares.get(color) ?? 0) - expected) < 0.006]).toEqual([label, true]);
      }
    }
  });

  test.each(PLANS)("the chart is as high as its table says: %s", async (fragment) => {
    const planner = await site.open(fragment);
    const { page } = planner;
    const most = Number(await page.getByLabel("on the chart").getAttribute("max"));
    const budget = parseBytes(/ of ([\d.]+ GiB)/.exec(await textOf(page.locator(".verdict")))?.[1] ?? "");
    const headings = await page
      .locator("table", { hasText: "Memory of one card by" })
      .locator("thead th")
      .allTextContents();
    const pixels = await plotOf(planner);
    const palette = await paletteOf(page, [...Object.keys(PARTS), "limit", "page"]);
    const limitRow = countColors(pixels.column(pixels.width - 2), palette);
    expect(limitRow.get("limit")).toBeGreaterThanOrEqual(1);
    const bytesPerPixel =
      budget / (pixels.column(pixels.width - 2).findIndex((color) => countColors([color], palette).has("limit")) + 1);
    let compared = 0;
    for (const row of await planner.rows("Memory of one card by")) {
      const [tokens, together] = [Number(row[0]?.replaceAll(",", "")), parseBytes(row.at(-2) ?? "")];
      const x = (tokens / most) * pixels.width;
      if (x > pixels.width - 4 || together > budget) continue;
      // Beside the upright line of the context that was asked for, which hides what is below it.
      const counts = countColors(pixels.column(x + 3), palette);
      for (const [color, label] of Object.entries(PARTS)) {
        const at = headings.indexOf(label);
        if (at < 1 || color === "free") continue;
        const height = (counts.get(color) ?? 0) * bytesPerPixel;
        expect([label, tokens, Math.abs(height - parseBytes(row[at] ?? "")) < 4 * bytesPerPixel]).toEqual([
          label,
          tokens,
          true,
        ]);
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(10);
  });

  test("what goes beyond the card fades above its limit", async () => {
    const planner = await site.open("sequences=16");
    const pixels = await plotOf(planner);
    const palette = await paletteOf(planner.page, ["part-full", "part-weights", "page", "limit"]);
    const [full, page] = [palette.get("part-full"), palette.get("page")];
    if (full === undefined || page === undefined) throw new Error("the page has no such colours");
    const faded = full.map((value, i) => 0.45 * value + 0.55 * (page[i] ?? 0)) as unknown as Color;
    const order = pixels.column(pixels.width - 3).map((color) => {
      return [...countColors([color], new Map([...palette, ["faded", faded]])).keys()][0] ?? "other";
    });
    const changes = order.filter((name, i) => name !== order[i - 1] && name !== "other");
    expect(changes).toEqual(["part-weights", "part-full", "limit", "faded", "page"]);
  });

  test.each(["light", "dark"] as const)("every text can be read in %s", async (colorScheme) => {
    for (const fragment of [
      "sequences=16",
      "context=-5&model=own&rule=vllm&vllm.blockSize=0",
      "model=gemma-3-27b-it&rule=llama.cpp",
    ]) {
      const planner = await site.open(fragment, { colorScheme });
      const seen = await texts(planner);
      expect(seen.length).toBeGreaterThan(20);
      for (const { text, ink, behind } of seen) {
        const [one, other] = [luminance(ink as unknown as Color), luminance(behind as unknown as Color)];
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        expect([text, contrast >= 4.5]).toEqual([text, true]);
      }
    }
  });

  test("dark and light are what the reader's system asks for, also when it changes its mind", async () => {
    const planner = await site.open("", { colorScheme: "dark" });
    const corner = async (): Promise<number> => {
      return luminance((await pixelsOf(planner.page, await planner.picture())).at(2, 2));
    };
    expect(await corner()).toBeLessThan(0.05);
    await planner.page.emulateMedia({ colorScheme: "light" });
    expect(await corner()).toBeGreaterThan(0.85);
    const [plot, light] = [await plotOf(planner), await paletteOf(planner.page, ["part-full", "part-weights"])];
    expect(countColors(plot.column(plot.width - 3), light).get("part-full")).toBeGreaterThan(50);
    expect((await barShares(planner)).get("part-weights")).toBeCloseTo(0.623, 2);
  });

  test("a phone shows all of it without scrolling sideways", async () => {
    const fragments = [
      "sequences=16",
      "model=gemma-3-27b-it&rule=llama.cpp&context=131072&llama.cpp.swaFull=true",
      "context=-5&tp=x&model=own&rule=vllm&vllm.blockSize=0&source=x",
    ];
    for (const fragment of fragments) {
      const planner = await site.open(fragment, {
        viewport: { width: 375, height: 812 },
        deviceScaleFactor: 2,
        hasTouch: true,
      });
      const { page } = planner;
      await page.locator("details").evaluateAll((all) => {
        for (const each of all) each.setAttribute("open", "");
      });
      const wide = await page.evaluate(() => ({
        page: document.documentElement.scrollWidth,
        outside: [...document.querySelectorAll("body *")]
          .filter((element) => (element as HTMLElement).checkVisibility() && element.closest(".wide, .unseen") === null)
          .filter((element) => element.getBoundingClientRect().right > 375.5)
          .map((element) => element.outerHTML.slice(0, 120)),
      }));
      expect(wide).toEqual({ page: 375, outside: [] });
    }
  });

  test("a phone keeps the verdict in sight, and leads to the result", async () => {
    const planner = await site.open("", { viewport: { width: 375, height: 812 } });
    const summary = planner.page.getByRole("button", { name: "show the result" });
    expect(await textOf(summary)).toBe("Fits, 1.03 GiB left, show the result");
    await planner.type("tokens of each sequence", "16384");
    expect(await textOf(summary)).toBe("Does not fit, 6.97 GiB too much, show the result");
    await summary.click();
    await planner.page.locator("#summary").waitFor({ state: "hidden" });
    const top = await planner.page.locator("#verdict").evaluate((element) => element.getBoundingClientRect().top);
    expect(top).toBeLessThan(300);
  });
});
