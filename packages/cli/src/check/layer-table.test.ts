import pc from "picocolors";
import { expect, test } from "vitest";
import { layerTable } from "./layer-table.ts";
import type { LayerResult } from "./layers.ts";

const colors = pc.createColors(false);

function layers(count: number, faults: Partial<Record<number, Partial<LayerResult>>> = {}): LayerResult[] {
  return Array.from({ length: count }, (_, layer) => ({
    layer,
    keysOffsetBytes: layer * 2048,
    valuesOffsetBytes: layer * 2048 + 1024,
    sizeBytes: 2048,
    isZeroed: true,
    isReadBack: true,
    ...faults[layer],
  }));
}

const layerColumn = (table: string): string[] =>
  table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/)[0] ?? "");

test("a short model is shown whole", () => {
  expect(layerColumn(layerTable(layers(12), { colors, allLayers: false }))).toEqual(
    Array.from({ length: 12 }, (_, layer) => String(layer)),
  );
});

test("a long one by its first and last layers, and says how many are left out", () => {
  const table = layerTable(layers(80), { colors, allLayers: false });
  expect(layerColumn(table)).toEqual(["0", "1", "2", "…", "79", "76"]);
  expect(table).toContain("76 layers more, all ok");
});

test("layers with a fault are always shown", () => {
  const table = layerTable(layers(80, { 40: { isZeroed: false }, 41: { isReadBack: false } }), {
    colors,
    allLayers: false,
  });
  expect(layerColumn(table)).toEqual(["0", "1", "2", "…", "40", "41", "…", "79", "74"]);
  expect(table).toMatch(/40 {2}.* FAILED {2}ok/);
  expect(table).toMatch(/41 {2}.* ok {6}FAILED/);
});

test("all of them when asked", () => {
  expect(layerTable(layers(80), { colors, allLayers: true }).split("\n")).toHaveLength(81);
});
