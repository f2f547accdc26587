import { sizeOf } from "../cache-size.ts";
import type { ModelShape } from "../model-shape.ts";
import { growingBlocks } from "./blocks.ts";
import { Knobs } from "./knobs.ts";
import type { Rule, RuleLayers, RuleRequest, RuleSize } from "./rule.ts";

/** Tokens per block where nothing says so. */
const DEFAULT_BLOCK = 16;

/** What this project's own allocator takes, to the byte: no padding but that of blocks, where there are blocks. */
export const exactRule: Rule = {
  name: "exact",
  version: "this version of @kv/config",
  documentation: ["docs/layer-kinds/README.md"],
  size,
};

function size(shape: ModelShape, request: RuleRequest): RuleSize {
  new Knobs(request.knobs, []);
  const { tokens, sequences, encoderTokens, format, sharding, tokensPerBlock } = request;
  const sized = sizeOf(shape, {
    tokens,
    sequences,
    encoderTokens,
    format,
    sharding,
    tokensPerBlock: tokensPerBlock ?? 1,
  });
  const layers = (): RuleLayers[] =>
    sized.layers.map(({ kind, count, bytes }) => ({ kind, count, bytes: bytes * sequences }));
  return {
    ...sized,
    details: () => ({
      layers: layers(),
      figures: [],
      assumptions: [],
      blocks: growingBlocks(shape, request, tokensPerBlock ?? DEFAULT_BLOCK),
    }),
  };
}
