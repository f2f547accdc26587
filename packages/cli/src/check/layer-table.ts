import { formatTable } from "../table.ts";
import { formatCount } from "../units.ts";
import type { TextStyle } from "./check-text.ts";
import type { LayerResult } from "./layers.ts";

/** The rows that are shown of a long table, beside the layers where something is wrong. */
const SHOWN_FIRST = 3;
const MOST_ROWS = 12;

/** Where each layer lies and what was found in it. Layers with a fault are always shown. */
export function layerTable(
  layers: readonly LayerResult[],
  { colors, allLayers }: Pick<TextStyle, "colors" | "allLayers">,
): string {
  const isShown = ({ layer, isZeroed, isReadBack }: LayerResult): boolean =>
    allLayers ||
    layers.length <= MOST_ROWS ||
    layer < SHOWN_FIRST ||
    layer === layers.length - 1 ||
    !(isZeroed && isReadBack);
  const mark = (passed: boolean): string => (passed ? colors.green("ok") : colors.red("FAILED"));
  const rows = [["layer", "keys at", "values at", "bytes", "zeroed", "read back"]];
  for (const each of layers) {
    if (isShown(each)) {
      const { layer, keysOffsetBytes, valuesOffsetBytes, sizeBytes, isZeroed, isReadBack } = each;
      const numbers = [layer, keysOffsetBytes, valuesOffsetBytes, sizeBytes].map(formatCount);
      rows.push([...numbers, mark(isZeroed), mark(isReadBack)]);
    } else if (rows.at(-1)?.[0] !== "…") rows.push(["…", "", "", "", "", ""]);
  }
  const table = formatTable(rows, ["right", "right", "right", "right", "left", "left"]);
  const numHidden = layers.filter((each) => !isShown(each)).length;
  return numHidden === 0 ? table : `${table}\n${numHidden} layers more, all ok; --all-layers shows them`;
}
