import type { PlanReport } from "@kv/config";
import { freeBytes, type MemoryPart, memoryParts, usedBytes } from "../plan/memory-parts.ts";
import { element, table } from "./element.ts";
import { bytes, PART_LABELS, percent } from "./words.ts";

/** One card's memory as a bar, and the same figures as a table that explains its colours. */
export function memoryBar(report: PlanReport): HTMLElement[] {
  const parts = memoryParts(report, report);
  return [bar(parts, report), partsTable(parts, report)];
}

function bar(parts: readonly MemoryPart[], report: PlanReport): HTMLElement {
  const { budgetBytes } = report;
  const free = freeBytes(report);
  const used = usedBytes(parts);
  const scale = Math.max(used, budgetBytes, 1);
  const segments = parts.map(({ name, bytes: size }) => segment(`part part-${name}`, size / scale));
  const limit = element("span", { class: "limit" });
  limit.style.left = `${(100 * budgetBytes) / scale}%`;
  const end = free >= 0 ? `${bytes(free)} free` : `${bytes(-free)} too much`;
  const words = parts.map(({ name, bytes: size }) => `${PART_LABELS[name]} ${bytes(size)}`);
  const label = `Memory of one card of ${bytes(budgetBytes)}: ${[...words, end].join(", ")}`;
  const track = element("div", { class: "track" }, ...segments);
  return element("div", { class: "bar", role: "img", "aria-label": label, "data-over": free < 0 }, track, limit);
}

function segment(className: string, share: number): HTMLElement {
  const made = element("span", { class: className });
  made.style.width = `${100 * share}%`;
  return made;
}

function partsTable(parts: readonly MemoryPart[], report: PlanReport): HTMLElement {
  const { budgetBytes } = report;
  const free = freeBytes(report);
  const rows = parts.map(({ name, bytes: size }) => [swatch(name), bytes(size), percent(size, budgetBytes)]);
  const end = free >= 0 ? (["Free", free] as const) : (["Too much", -free] as const);
  const last = [element("span", { class: "key" }, element("span", { class: "swatch free" }), end[0]), bytes(end[1])];
  const made = table("One card", ["Part", "Bytes", "Of the card"], [...rows, [...last, percent(end[1], budgetBytes)]]);
  made.classList.add("parts");
  return made;
}

function swatch(name: MemoryPart["name"]): HTMLElement {
  return element("span", { class: "key" }, element("span", { class: `swatch part-${name}` }), PART_LABELS[name]);
}
