import type { LayerKind, PlanReport, SizeReport } from "@kv/config";

/** What a part of a card's memory is used for. */
export type PartName = "weights" | "reserve" | LayerKind | "padding";

/** A part of one card's memory. */
export interface MemoryPart {
  readonly name: PartName;
  readonly bytes: number;
}

/** From the bottom of the picture: what stays the same first, what grows on top of it. */
const ORDER: readonly PartName[] = [
  "weights",
  "reserve",
  "state",
  "cross",
  "sliding",
  "chunked",
  "compressed",
  "latent",
  "full",
  "padding",
];

/** The order of parts in every picture and table. */
export function byOrder(left: { readonly name: PartName }, right: { readonly name: PartName }): number {
  return ORDER.indexOf(left.name) - ORDER.indexOf(right.name);
}

/** What a card holds besides the cache. */
export type BesideCache = Pick<PlanReport, "weightsBytes" | "reserveBytes">;

/**
 * What the fullest card holds, part by part; together weights, reserve and `largestDeviceBytes`. Over several cards, a
 * kind of layer has the share of the card that it has of all cards together.
 */
export function memoryParts(size: SizeReport, beside: BesideCache): MemoryPart[] {
  const { layers, totalBytes, largestDeviceBytes } = size;
  const share = totalBytes === 0 ? 0 : largestDeviceBytes / totalBytes;
  const kinds = new Map<PartName, number>();
  for (const { kind, bytes } of layers) kinds.set(kind, (kinds.get(kind) ?? 0) + bytes * share);
  const counted = [...kinds.values()].reduce((total, bytes) => total + bytes, 0);
  const parts = [
    { name: "weights" as const, bytes: beside.weightsBytes },
    { name: "reserve" as const, bytes: beside.reserveBytes },
    ...[...kinds].map(([name, bytes]) => ({ name, bytes })),
    { name: "padding" as const, bytes: Math.max(0, Math.round(largestDeviceBytes - counted)) },
  ];
  return parts.filter(({ bytes }) => bytes > 0).sort(byOrder);
}

/** What stays free on the fullest card; negative by what is missing, weights that do not fit included. */
export function freeBytes({ budgetBytes, weightsBytes, reserveBytes, largestDeviceBytes }: PlanReport): number {
  return budgetBytes - weightsBytes - reserveBytes - largestDeviceBytes;
}

/** Bytes of parts together. */
export function usedBytes(parts: readonly MemoryPart[]): number {
  return parts.reduce((total, { bytes }) => total + bytes, 0);
}
