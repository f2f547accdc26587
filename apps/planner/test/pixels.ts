import type { Page } from "playwright-core";

/** A colour: red, green, blue. */
export type Color = readonly [number, number, number];

/** A picture as pixels. */
export class Pixels {
  readonly width: number;
  readonly height: number;
  readonly #rgba: Buffer;

  constructor(width: number, height: number, rgba: Buffer) {
    this.width = width;
    this.height = height;
    this.#rgba = rgba;
  }

  at(x: number, y: number): Color {
    const start = 4 * (Math.round(y) * this.width + Math.round(x));
    return [this.#rgba[start] ?? 0, this.#rgba[start + 1] ?? 0, this.#rgba[start + 2] ?? 0];
  }

  row(y: number): Color[] {
    return Array.from({ length: this.width }, (_, x) => this.at(x, y));
  }

  /** From the bottom. */
  column(x: number): Color[] {
    return Array.from({ length: this.height }, (_, i) => this.at(x, this.height - 1 - i));
  }
}

/** Decodes a PNG, in an empty page of the same window. */
export async function pixelsOf(page: Page, png: Buffer): Promise<Pixels> {
  const context = page.context();
  // The planner's own page may not read pictures.
  const blank = context.pages().find((each) => each.url() === "about:blank") ?? (await context.newPage());
  const { width, height, rgba } = await blank.evaluate(async (base64) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas?.drawImage(image, 0, 0);
    const data = canvas?.getImageData(0, 0, image.width, image.height).data ?? new Uint8ClampedArray();
    let binary = "";
    for (let i = 0; i < data.length; i += 8192) binary += String.fromCharCode(...data.subarray(i, i + 8192));
    return { width: image.width, height: image.height, rgba: btoa(binary) };
  }, png.toString("base64"));
  return new Pixels(width, height, Buffer.from(rgba, "base64"));
}

/** The page's colours by the names of their variables. */
export async function paletteOf(page: Page, names: readonly string[]): Promise<Map<string, Color>> {
  const texts = await page.evaluate((all) => {
    const style = getComputedStyle(document.documentElement);
    return all.map((name) => style.getPropertyValue(`--${name}`).trim());
  }, names);
  return new Map(names.map((name, i) => [name, colorOf(texts[i] ?? "")]));
}

/** `#8d96a3` as its three numbers. */
function colorOf(text: string): Color {
  const value = Number.parseInt(text.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** How many of `colors` are each of the palette; what is near none of them counts as `other`. */
export function countColors(colors: readonly Color[], palette: ReadonlyMap<string, Color>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const color of colors) {
    const name = nearest(color, palette);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function nearest(color: Color, palette: ReadonlyMap<string, Color>): string {
  const distance = (other: Color): number => Math.hypot(...other.map((value, i) => value - (color[i] ?? 0)));
  const [name, best] = [...palette].reduce<[string, number]>(
    (found, [each, other]) => (distance(other) < found[1] ? [each, distance(other)] : found),
    ["other", 24],
  );
  return best < 24 ? name : "other";
}
