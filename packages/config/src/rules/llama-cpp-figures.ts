import type { KvFormat } from "../format.ts";
import type { ModelShape } from "../model-shape.ts";
import type { LlamaCppCache } from "./llama-cpp-caches.ts";
import type { LlamaCppPlan } from "./llama-cpp-plan.ts";
import type { RuleFigure } from "./rule.ts";

/** What llama.cpp logs of its caches: one line each, and what a sequence gets of the context. */
export function figuresOf(
  shape: ModelShape,
  caches: readonly LlamaCppCache[],
  plan: LlamaCppPlan,
  format: KvFormat,
): RuleFigure[] {
  const figures = caches.map((cache): RuleFigure => {
    if (cache.name === "recurrent") return { name: cache.name, value: recurrentLine(cache, shape, plan) };
    if (cache.state !== undefined) return { name: cache.name, value: compressorLine(cache, cache.state, plan) };
    return { name: cache.name, value: cacheLine(cache, plan, format) };
  });
  return [{ name: "n_ctx_seq", value: `${plan.seqCells}` }, ...figures];
}

function cacheLine(cache: LlamaCppCache, plan: LlamaCppPlan, { keys, values }: KvFormat): string {
  const { keyBytes, valueBytes, numLayers } = sums(cache);
  return (
    `size = ${mib(keyBytes + valueBytes)} (${cache.cells} cells, ${numLayers} layers, ${plan.parallel}/${cache.streams} seqs), ` +
    `K (${ggmlType(keys)}): ${mib(keyBytes)}, V (${ggmlType(values)}): ${mib(valueBytes)}`
  );
}

/** This line counts the layers of the model, not those with a state. */
function recurrentLine(cache: LlamaCppCache, { layers }: ModelShape, plan: LlamaCppPlan): string {
  const { keyBytes, valueBytes } = sums(cache);
  const numLayers = layers.reduce((most, { index }) => Math.max(most, index + 1), 0);
  return (
    `size = ${mib(keyBytes + valueBytes)} (${cache.cells} cells, ${numLayers} layers, ${plan.parallel} seqs ${plan.rsSeq} rs_seq), ` +
    `R (f32): ${mib(keyBytes)}, S (f32): ${mib(valueBytes)}`
  );
}

function compressorLine(
  cache: LlamaCppCache,
  { name, tokensPerEntry, width }: NonNullable<LlamaCppCache["state"]>,
  plan: LlamaCppPlan,
): string {
  const { keyBytes, valueBytes, numLayers } = sums(cache);
  return (
    `${name} ratio = ${tokensPerEntry}, state = ${cache.cells} x ${width}, streams = ${cache.streams}, ` +
    `rs_seq = ${plan.rsSeq}, layers = ${numLayers}, size = ${mib(keyBytes + valueBytes)}`
  );
}

function sums({ parts }: LlamaCppCache): { keyBytes: number; valueBytes: number; numLayers: number } {
  return {
    keyBytes: parts.reduce((bytes, part) => bytes + part.keyBytes, 0),
    valueBytes: parts.reduce((bytes, part) => bytes + part.valueBytes, 0),
    numLayers: parts.reduce((count, { group }) => count + group.indices.length, 0),
  };
}

/** ggml's name of a type. */
function ggmlType(type: string): string {
  return type.replace(/^fp/, "f");
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(2)} MiB`;
}
