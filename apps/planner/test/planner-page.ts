import { parseBytes } from "@kv/config";
import type { Locator, Page } from "playwright-core";

/** The page as a person finds it: by labels, headings and texts. */
export class PlannerPage {
  /** What went wrong in the page, or left this machine: neither may happen. */
  readonly faults: string[] = [];
  readonly page: Page;
  readonly #address: string;

  constructor(page: Page, address: string) {
    this.page = page;
    this.#address = address;
    page.on("pageerror", (error) => this.faults.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.faults.push(message.text());
    });
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(address) && !url.startsWith("blob:") && !url.startsWith("data:")) this.faults.push(url);
    });
  }

  async goto(fragment: string): Promise<void> {
    await this.page.goto(fragment === "" ? this.#address : `${this.#address}#${fragment}`);
    await this.page.locator("#verdict, .notice li").first().waitFor();
  }

  /** A control by its label, or the part of it that is seen. */
  field(label: string): Locator {
    return this.page.getByLabel(label, { exact: false }).first();
  }

  /** Replaces what stands in a field by typing. */
  async type(label: string, text: string): Promise<void> {
    const field = this.field(label);
    await field.fill("");
    await field.pressSequentially(text);
  }

  /** `Fits, 1.03 GiB left`. */
  async verdict(): Promise<string> {
    return await textOf(this.page.locator("#verdict"));
  }

  /** The error beside a field; empty if there is none. */
  async errorAt(label: string): Promise<string> {
    const id = await this.field(label).getAttribute("aria-describedby");
    const error = this.page.locator(`[id="${id}"]`);
    return (await error.isVisible()) ? await textOf(error) : "";
  }

  /** The rows of a table by its caption's first words, each row as the texts of its cells. */
  async rows(caption: string): Promise<string[][]> {
    const rows = this.page
      .locator("table", { has: this.page.locator("caption", { hasText: new RegExp(`^${caption}`) }) })
      .locator("tbody tr");
    return await rows.evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent ?? "")));
  }

  /** A figure of the list of limits by its label. */
  async figure(term: string): Promise<string> {
    return await textOf(this.page.locator(".figures div", { hasText: term }).locator("dd"));
  }

  /** Parts of one card in bytes, as the table beside the bar says, rounded as it is. */
  async parts(): Promise<Map<string, number>> {
    const rows = await this.rows("One card");
    return new Map(rows.map(([part = "", size = ""]) => [part, parseBytes(size)]));
  }

  /**
   * A picture of an element, or of the window, that shows the page as it is now: taken once the frames are painted in which
   * changes of size and of colours are answered.
   */
  async picture(selector?: string): Promise<Buffer> {
    if (selector !== undefined) await this.page.locator(selector).waitFor();
    await this.page.evaluate(async () => {
      for (let frames = 0; frames < 3; frames += 1) await new Promise((resolve) => requestAnimationFrame(resolve));
    });
    if (selector === undefined) return await this.page.screenshot();
    const clip = await this.page.locator(selector).boundingBox();
    if (clip === null) throw new Error(`${selector} is not on the page`);
    return await this.page.screenshot({ clip, fullPage: true });
  }

  /** Drops a file on the page, and waits for what the page says of it: something else than it said before. */
  async drop(name: string, contents: Buffer | string): Promise<void> {
    const transfer = await this.page.evaluateHandle(
      ([fileName = "", data = ""]) => {
        const made = new DataTransfer();
        made.items.add(new File([Uint8Array.from(atob(data), (char) => char.charCodeAt(0))], fileName));
        return made;
      },
      [name, (typeof contents === "string" ? Buffer.from(contents) : contents).toString("base64")],
    );
    const said = await this.fileStatus();
    await this.page.dispatchEvent("body", "dragover", { dataTransfer: transfer });
    await this.page.dispatchEvent("body", "drop", { dataTransfer: transfer });
    await this.page.waitForFunction((before) => {
      const status = document.querySelector<HTMLElement>(".file-status:not([hidden])");
      return status !== null && status.textContent !== before;
    }, said);
  }

  /** What the page says of the last file. */
  async fileStatus(): Promise<string> {
    return await textOf(this.page.locator(".file-status"));
  }
}

/** The text of an element as the page's own code set it. */
export async function textOf(locator: Locator): Promise<string> {
  return (await locator.textContent()) ?? "";
}
