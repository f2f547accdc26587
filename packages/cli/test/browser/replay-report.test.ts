import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kv } from "../run-kv.ts";
import { SLICE } from "../traces.ts";

const CHROMIUM = "/usr/bin/chromium";
const skipsBrowser = process.env["KV_SKIP_BROWSER"] === "1";
const CHARTS = ["occupancy", "hit-rate", "evictions", "sweep"];

describe.skipIf(skipsBrowser)("the report", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "kv-report-"));
  const file = path.join(folder, "report.html");
  let browser: Browser;

  beforeAll(async () => {
    if (!existsSync(CHROMIUM)) {
      throw new Error(
        `${CHROMIUM} is missing: apt-get install -y chromium, or set KV_SKIP_BROWSER=1 to leave these tests out`,
      );
    }
    const run = kv(["replay", SLICE, "--blocks", "2000", "--policy", "lru", "--html", file]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ["--headless", "--no-sandbox", "--disable-gpu"],
    });
  });
  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true });
  });

  async function open(colorScheme: "light" | "dark", address = file): Promise<{ page: Page; problems: string[] }> {
    const context = await browser.newContext({ colorScheme, offline: true, viewport: { width: 1200, height: 900 } });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("request", (request) => {
      if (!/^(file|data):/.test(request.url())) problems.push(request.url());
    });
    await page.goto(pathToFileURL(address).href);
    return { page, problems };
  }

  /** Pixels of a chart's canvas that have the colour of a style's variable. */
  async function painted(page: Page, chart: string, variable: string): Promise<number> {
    return await page.evaluate(
      ([id, name]) => {
        const canvas = document.querySelector<HTMLCanvasElement>(`#${id} canvas`);
        const context = canvas?.getContext("2d");
        const probe = document.createElement("canvas").getContext("2d");
        if (!canvas || !context || !probe) return 0;
        probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
        probe.fillRect(0, 0, 1, 1);
        const wanted = probe.getImageData(0, 0, 1, 1).data;
        const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let i = 0; i < data.length; i += 4) {
          if ([0, 1, 2].every((part) => Math.abs((data[i + part] ?? 0) - (wanted[part] ?? 0)) < 12)) count++;
        }
        return count;
      },
      [chart, variable] as const,
    );
  }

  test.each(["light", "dark"] as const)("draws every chart from a file, without a network: %s", async (colorScheme) => {
    const { page, problems } = await open(colorScheme);
    await page.waitForSelector("#sweep canvas");
    for (const chart of CHARTS) expect([chart, (await painted(page, chart, "first")) > 100]).toEqual([chart, true]);
    expect(await painted(page, "occupancy", "second")).toBeGreaterThan(20);
    const [background = 0] = await page.evaluate(() =>
      (getComputedStyle(document.body).backgroundColor.match(/\d+/g) ?? []).map(Number),
    );
    expect(background > 128).toBe(colorScheme === "light");
    expect(problems).toEqual([]);
    await page.context().close();
  });

  test("shows the figures that the command prints", async () => {
    const { page } = await open("light");
    const rows = await page.locator("tr").allInnerTexts();
    const run = kv(["replay", SLICE, "--blocks", "2000", "--policy", "lru"]);
    const [, hit] = /^hit +(\S+)/m.exec(run.stdout) ?? [];
    expect(rows.find((row) => row.startsWith("hit\t"))).toContain(hit);
    await page.context().close();
  });

  test("fits a narrow window", async () => {
    const { page } = await open("light");
    await page.setViewportSize({ width: 360, height: 700 });
    await page.waitForFunction(() => (document.querySelector("#sweep canvas")?.clientWidth ?? 999) < 360);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    await page.context().close();
  });

  test("a file's name cannot add to the page", async () => {
    const evil = path.join(folder, "<script>alert(1)<!--.jsonl");
    writeFileSync(evil, '{"timestamp":0,"input_length":512,"output_length":1,"hash_ids":[1]}\n');
    const report = path.join(folder, "evil.html");
    expect(kv(["replay", evil, "--html", report]).status).toBe(0);
    const { page, problems } = await open("light", report);
    await page.waitForSelector("#occupancy canvas");
    expect(await page.locator("h1").textContent()).toContain("<script>alert(1)");
    expect(problems).toEqual([]);
    await page.context().close();
  });
});
