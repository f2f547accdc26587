import { groupLayers, type LayerGroup, type ModelShape, type PlanReport, type RuleLayers } from "@kv/config";
import { element, table } from "./element.ts";
import { holds, ranges } from "./layer-words.ts";
import { swatch } from "./swatch.ts";
import { bytes, count, KIND_LABELS, percent } from "./words.ts";

/** What each kind of layer takes, over all cards and sequences. */
export function layerTable(shape: ModelShape, report: PlanReport): HTMLElement {
  const groups = groupLayers(shape.layers);
  const rows = report.layers.map((layers, i) => row(layers, groupOf(groups, report.layers, i), report.totalBytes));
  const caption = `${count(report.sequences)} × ${count(report.tokens)} tokens, all cards together, ${report.dtype}`;
  const made = table(caption, ["Kind", "Layers", "Each holds", "Bytes", "Per layer", "Share"], rows);
  return element("div", { class: "wide layers" }, made);
}

/** A rule that keeps the model's groups lists them in their order; of a rule that changes them only kind and count are known. */
function groupOf(groups: readonly LayerGroup[], all: readonly RuleLayers[], i: number): LayerGroup | undefined {
  const same = all.length === groups.length && all.every(({ count: own }, k) => own === groups[k]?.indices.length);
  const group = groups[i];
  return same && group?.layer.kind === all[i]?.kind ? group : undefined;
}

function row(
  { kind, count: layers, bytes: size }: RuleLayers,
  group: LayerGroup | undefined,
  total: number,
): (Node | string)[] {
  const label = swatch(`part-${kind}`, KIND_LABELS[kind]);
  const places = element("span", {}, `${layers}`);
  if (group !== undefined) places.append(" ", indices(group));
  return [
    label,
    places,
    group === undefined ? "" : holds(group.layer),
    bytes(size),
    bytes(size / layers),
    percent(size, total),
  ];
}

function indices(group: LayerGroup): HTMLElement {
  const all = ranges(group.indices).split(" ");
  const unbroken = all.flatMap((range, i) => [
    ...(i === 0 ? [] : [" "]),
    element("span", { class: "unbroken" }, range),
  ]);
  return element("span", { class: "indices" }, "(", ...unbroken, ")");
}
