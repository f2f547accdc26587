import { SizeOverflowError, sizeReport } from "@kv/config";
import { byOrder, type MemoryPart, memoryParts, type PartName } from "./memory-parts.ts";
import type { Plan } from "./plan-of-state.ts";

/** What one card holds at a context. */
export interface CurvePoint {
  readonly tokens: number;
  readonly parts: readonly MemoryPart[];
}

/** What one card holds at each of `contexts`, all else as planned. Stops where a size is beyond all numbers. */
export function contextCurve(plan: Plan, contexts: readonly number[]): CurvePoint[] {
  const points: CurvePoint[] = [];
  for (const tokens of contexts) {
    const parts = partsAt(plan, tokens);
    if (parts === null) break;
    points.push({ tokens, parts });
  }
  return points;
}

function partsAt({ shape, options, report }: Plan, tokens: number): MemoryPart[] | null {
  try {
    return memoryParts(sizeReport(shape, { ...options, tokens }), report);
  } catch (error) {
    if (error instanceof SizeOverflowError) return null;
    throw error;
  }
}

/** The parts that any point of a curve has, in their order. */
export function partNames(points: readonly CurvePoint[]): PartName[] {
  const names = new Set(points.flatMap(({ parts }) => parts.map(({ name }) => name)));
  return [...names]
    .map((name) => ({ name }))
    .sort(byOrder)
    .map(({ name }) => name);
}

/** Bytes of one part at each point of a curve. */
export function bytesOf(points: readonly CurvePoint[], name: PartName): number[] {
  return points.map(({ parts }) => parts.find((part) => part.name === name)?.bytes ?? 0);
}
