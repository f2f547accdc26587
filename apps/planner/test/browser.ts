import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Browser, type BrowserContextOptions, chromium } from "playwright-core";
import { build, type PreviewServer, preview } from "vite";
import { PlannerPage } from "./planner-page.ts";

const CHROMIUM = "/usr/bin/chromium";
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const root = path.resolve(import.meta.dirname, "..");

/** What building the page and starting a browser, or a whole test, may take on a machine that is busy with other things. */
export const PATIENCE_MS = 300_000;

/** True if the tests that need a browser are to be skipped: `KV_SKIP_BROWSER=1`. */
export const skipsBrowser: boolean = process.env["KV_SKIP_BROWSER"] === "1";

/** The built page on a server of this machine's own, and a browser with a fresh profile. */
export class Site {
  readonly #folder: string;
  readonly #server: PreviewServer;
  readonly #browser: Browser;

  private constructor(folder: string, server: PreviewServer, browser: Browser) {
    this.#folder = folder;
    this.#server = server;
    this.#browser = browser;
  }

  /** Builds the page as it is published, serves it, and starts the browser. */
  static async start(): Promise<Site> {
    if (!existsSync(CHROMIUM)) {
      throw new Error(
        `${CHROMIUM} is missing: apt-get install -y chromium, or set KV_SKIP_BROWSER=1 to leave these tests out`,
      );
    }
    const outDir = await mkdtemp(path.join(tmpdir(), "planner-"));
    await build({ root, logLevel: "error", build: { outDir, emptyOutDir: true } });
    const serving = { host: "127.0.0.1", port: 0, strictPort: true };
    const server = await preview({ root, logLevel: "error", build: { outDir }, preview: serving });
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS, timeout: PATIENCE_MS });
    return new Site(outDir, server, browser);
  }

  /** The page's address. */
  get address(): string {
    const address = this.#server.httpServer.address();
    if (address === null || typeof address === "string") throw new Error("the server has no port");
    return `http://127.0.0.1:${address.port}/`;
  }

  /** Opens the page in a window of its own, which shares nothing with the others. */
  async open(fragment = "", options: BrowserContextOptions = {}): Promise<PlannerPage> {
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = new PlannerPage(await context.newPage(), this.address);
    await page.goto(fragment);
    return page;
  }

  async stop(): Promise<void> {
    await this.#browser.close();
    await this.#server.close();
    await rm(this.#folder, { recursive: true });
  }
}
