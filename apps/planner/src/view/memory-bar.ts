import type { PlanReport } from "@kv/config";
import { freeBytes, type MemoryPart, memoryParts, usedBytes } from "../plan/memory-parts.ts";
import { element, table } from "./element.ts";
import { swatch } from "./swatch.ts";
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
  const end = free >= 0 ? swatch("free", "Free") : swatch("beyond", "Too much");
  const rows = [
    ...parts.map(({ name, bytes: size }) => ({ label: swatch(`part-${name}`, PART_LABELS[name]), size })),
    { label: end, size: Math.abs(free) },
  ];
  const cells = rows.map(({ label, size }) => [label, bytes(size), percent(size, budgetBytes)]);
  const made = table("One card", ["Part", "Bytes", "Of the card"], cells);
  made.classList.add("parts");
  return made;
}
