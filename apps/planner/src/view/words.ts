import { formatBytes, type LayerKind } from "@kv/config";
import type { PartName } from "../plan/memory-parts.ts";

/** Kinds of layers in the page's words. */
export const KIND_LABELS: Readonly<Record<LayerKind, string>> = {
  full: "Full attention",
  sliding: "Sliding window",
  chunked: "Chunked attention",
  latent: "Latent attention",
  compressed: "Compressed attention",
  shared: "Shared",
  cross: "Cross attention",
  state: "Recurrent state",
  none: "No cache",
};

/** Parts of a card's memory in the page's words. */
export const PART_LABELS: Readonly<Record<PartName, string>> = {
  ...KIND_LABELS,
  weights: "Weights",
  reserve: "Kept free",
  padding: "Padding of blocks",
};

/** A whole number for people: `131,072`. */
export function count(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 2 });
}

/** A number and its thing: `1 card`, `8 cards`. */
export function counted(value: number, thing: string): string {
  return `${count(value)} ${thing}${value === 1 ? "" : "s"}`;
}

/** Bytes that may be a fraction, rounded to whole ones where they are few. */
export function bytes(value: number): string {
  return formatBytes(value);
}

/** A share as a percentage with one decimal. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? "–" : `${((100 * part) / whole).toFixed(1)}%`;
}
