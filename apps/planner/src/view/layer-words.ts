import type { KeyValueWidths, LayerShape } from "@kv/config";
import { count } from "./words.ts";

/** What a layer of this geometry keeps, in elements. */
export function holds(layer: LayerShape): string {
  switch (layer.kind) {
    case "full":
      return `${heads(layer)}${indexer(layer.indexerKeyDim)}`;
    case "sliding":
      return `last ${count(layer.windowTokens)} tokens, ${heads(layer)}`;
    case "chunked":
      return `chunk of ${count(layer.chunkTokens)} tokens, ${heads(layer)}`;
    case "latent":
      return `latent ${layer.latentDim} + rotary ${layer.ropeDim}${indexer(layer.indexerKeyDim)}`;
    case "compressed":
      return `last ${layer.windowTokens} tokens and 1 entry of ${layer.entryDim} per ${layer.tokensPerEntry}${indexer(layer.indexerKeyDim)}`;
    case "cross":
      return `${layer.encoderTokens === null ? "the encoder's tokens" : `${count(layer.encoderTokens)} encoder tokens`}, ${heads(layer)}`;
    case "state":
      return `${layer.mechanism}: ${count(layer.stateElements)} values${convolution(layer)}`;
    case "shared":
      return "reads another layer's cache";
    default:
      return "nothing";
  }
}

function heads({ numKvHeads, keyDim, valueDim }: KeyValueWidths): string {
  const width = keyDim === valueDim ? `${keyDim}` : `(K ${keyDim}, V ${valueDim})`;
  return `${numKvHeads} KV head${numKvHeads === 1 ? "" : "s"} × ${width}`;
}

function indexer(keyDim: number): string {
  return keyDim === 0 ? "" : `, indexer key ${keyDim}`;
}

function convolution({ convWidth, convColumns }: { readonly convWidth: number; readonly convColumns: number }): string {
  return convWidth === 0 ? "" : `, convolution ${convColumns} × ${count(convWidth)}`;
}

/** Layer numbers as ranges (`0–4, 6–10`), cut off where they are many. */
export function ranges(indices: readonly number[]): string {
  const found: [number, number][] = [];
  for (const index of indices) {
    const last = found.at(-1);
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else found.push([index, index]);
  }
  const texts = found.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`));
  return texts.length > 5 ? `${texts.slice(0, 4).join(", ")}, …, ${texts.at(-1)}` : texts.join(", ");
}
