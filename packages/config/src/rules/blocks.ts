import { growthBytesPerToken } from "../cache-size.ts";
import { groupLayersByFormat, layerBytes } from "../layer-bytes.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { rankShapes } from "../sharding.ts";
import type { RuleBlocks, RuleRequest } from "./rule.ts";

/** Blocks of `tokensPerBlock` tokens of every layer that keeps all tokens; everything else is fixed. */
export function growingBlocks(shape: ModelShape, request: RuleRequest, tokensPerBlock: number): RuleBlocks | null {
  const { sequences, sharding, format } = request;
  const stages = rankShapes(shape, sharding);
  const bytesPerBlock = Math.ceil(
    Math.max(...stages.map((stage) => growthBytesPerToken(stage, format))) * tokensPerBlock,
  );
  if (bytesPerBlock === 0) return null;
  const share = Math.ceil(sequences / sharding.data);
  const fixedBytes = Math.max(...stages.map((stage) => fixedBytesOf(stage, request, tokensPerBlock))) * share;
  return { tokensPerBlock, bytesPerBlock, fixedBytes };
}

/** What one sequence takes in the layers, and parts of layers, that do not keep all tokens. */
function fixedBytesOf({ layers }: ModelShape, request: RuleRequest, tokensPerBlock: number): number {
  const { tokens, encoderTokens, format, sharding } = request;
  const length = { tokens: Math.ceil(tokens / sharding.context), encoderTokens, tokensPerBlock };
  return groupLayersByFormat(layers, format).reduce((total, { layer, indices }) => {
    const fixed = fixedPart(layer);
    return fixed === null ? total : total + layerBytes(fixed, format, length) * indices.length;
  }, 0);
}

function fixedPart(layer: LayerShape): LayerShape | null {
  if (layer.kind === "full" || layer.kind === "latent") return null;
  if (layer.kind !== "compressed") return layer;
  const { index, entryDim, windowTokens } = layer;
  return { kind: "sliding", index, numKvHeads: 1, keyDim: entryDim, valueDim: 0, windowTokens };
}
