import { InvalidConfigError, SizeOverflowError } from "../errors.ts";
import { exactProduct, exactSum } from "../exact.ts";
import { groupLayers } from "../layer-groups.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { roundUp } from "../stored-tokens.ts";
import { isCompressed } from "./deepseek-v4.ts";
import { hasSparseLatents } from "./indexer.ts";
import { Knobs } from "./knobs.ts";
import type { RuleRequest } from "./rule.ts";

const KNOBS = [
  "pageSize",
  "maxTotalTokens",
  "swaFullTokensRatio",
  "disableHybridSwaMemory",
  "maxRunningRequests",
  "maxMambaCacheSize",
];

/** The page that the kernels for latents with an indexer take; SGLang sets it whatever was asked for. */
const SPARSE_PAGE = 64;

/** Architectures whose windowed layers have a pool of their own (`is_hybrid_swa_model`), by the names both file formats use. */
const WITH_WINDOW_POOL: readonly string[] = [
  "deepseek_v4",
  "deepseek4",
  "gemma4",
  "gemma4_text",
  "gpt-oss",
  "gpt_oss",
  "llama4",
  "llama4_text",
  "mimo2",
  "mimo_v2",
  "mimo_v2_flash",
  "step35",
  "step3p5",
  "step3p7",
];

/** SGLang's knobs, named as its flags are, and the pools that follow from them. Tokens are those of one replica. */
export interface SglangPlan {
  /** `--page-size`: 1 unless given, 256 for DeepSeek-V4; 64 for latents with an indexer, whatever is given. */
  readonly pageSize: number;
  /** `--swa-full-tokens-ratio`: tokens of the pool of windows for each of the other. 0.8 unless given, 0.1 for DeepSeek-V4. */
  readonly swaFullTokensRatio: number;
  /** `--max-running-requests` of one replica: its share of the sequences unless given. */
  readonly maxRunningRequests: number;
  /** `--max-mamba-cache-size`: recurrent states, one of them for each running request unless given. */
  readonly maxMambaCacheSize: number;
  /** True if windows have a pool of their own. `--disable-hybrid-swa-memory` keeps them in full. */
  readonly hasWindowPool: boolean;
  /** Tokens of the pool of layers that keep every token. */
  readonly fullTokens: number;
  /** Tokens of the pool of windows. */
  readonly swaTokens: number;
}

/** Reads the knobs of a request. @throws InvalidConfigError */
export function sglangPlan(shape: ModelShape, request: RuleRequest): SglangPlan {
  const knobs = new Knobs(request.knobs, KNOBS);
  const packed = isCompressed(shape);
  const share = Math.ceil(request.sequences / request.sharding.data);
  const asked = knobs.count("pageSize", request.tokensPerBlock ?? (packed ? 256 : 1));
  const pageSize = hasSparseLatents(shape) ? SPARSE_PAGE : asked;
  if (packed && pageSize % 128 !== 0) {
    throw new InvalidConfigError("knobs.pageSize", pageSize, "a multiple of 128, the tokens of an entry");
  }
  const pooling = {
    pageSize,
    swaFullTokensRatio: knobs.share("swaFullTokensRatio", packed ? 0.1 : 0.8),
    maxRunningRequests: knobs.count("maxRunningRequests", share, 0),
    maxMambaCacheSize: knobs.count("maxMambaCacheSize", share, 0),
    hasWindowPool: hasWindowPool(shape, knobs.flag("disableHybridSwaMemory", false)),
  };
  const fullTokens = fullTokensOf(shape, request, pooling, knobs.optionalCount("maxTotalTokens"));
  return { ...pooling, fullTokens, swaTokens: pooling.hasWindowPool ? swaTokensOf(fullTokens, pooling) : 0 };
}

function hasWindowPool(shape: ModelShape, disabled: boolean): boolean {
  if (isCompressed(shape)) {
    if (disabled)
      throw new InvalidConfigError("knobs.disableHybridSwaMemory", true, "false: DeepSeek-V4 has no other memory");
    return true;
  }
  const kinds = new Set(groupLayers(shape.layers).map(({ layer }) => layer.kind));
  return !disabled && WITH_WINDOW_POOL.includes(shape.modelType) && (kinds.has("sliding") || kinds.has("chunked"));
}

type Pooling = Pick<SglangPlan, "pageSize" | "swaFullTokensRatio" | "hasWindowPool">;

function swaTokensOf(fullTokens: number, { pageSize, swaFullTokensRatio }: Pooling): number {
  return roundDown(Math.floor(fullTokens * swaFullTokensRatio), pageSize);
}

function roundDown(value: number, step: number): number {
  return Math.floor(value / step) * step;
}

/** The flag, or enough for the sequences asked for: in the pool of windows too, which is a share of this one. */
function fullTokensOf(
  shape: ModelShape,
  { tokens, encoderTokens, sequences, sharding }: RuleRequest,
  pooling: Pooling,
  maxTotalTokens: number | undefined,
): number {
  const { pageSize } = pooling;
  const floor = pooling.hasWindowPool && !isCompressed(shape) ? windowOf(shape) + pageSize + 1 : 0;
  if (maxTotalTokens !== undefined) return givenTokens(maxTotalTokens, pooling, floor);
  const share = Math.ceil(sequences / sharding.data);
  const places = exactSum("the tokens", [tokens, encoderPlaces(shape, encoderTokens)]);
  const length = roundUp(Math.ceil(places / sharding.context), pageSize);
  const own = exactProduct("the tokens", length, share);
  if (!pooling.hasWindowPool) return own;
  // A window reaches into one page more than it fills.
  const window = Math.min(length, roundUp(windowOf(shape), pageSize) + pageSize);
  return Math.max(own, leastFullTokens(Math.max(floor, exactProduct("the windows", window, share)), pooling));
}

/** SGLang does not start with a pool of windows in which not even one request's would fit. */
function givenTokens(maxTotalTokens: number, pooling: Pooling, floor: number): number {
  const fullTokens = roundDown(maxTotalTokens, pooling.pageSize);
  if (!pooling.hasWindowPool || swaTokensOf(fullTokens, pooling) >= floor) return fullTokens;
  const least = leastFullTokens(floor, pooling);
  throw new InvalidConfigError(
    "knobs.maxTotalTokens",
    maxTotalTokens,
    `at least ${least}, so that a window fits its pool`,
  );
}

/** The fewest full tokens that come with `swaTokens` of the other pool. */
function leastFullTokens(swaTokens: number, pooling: Pooling): number {
  const { pageSize, swaFullTokensRatio } = pooling;
  const wanted = roundUp(swaTokens, pageSize);
  const estimate = wanted / swaFullTokensRatio;
  if (!(estimate <= Number.MAX_SAFE_INTEGER)) {
    throw new SizeOverflowError("the tokens", BigInt(Math.floor(Math.min(estimate, Number.MAX_VALUE))));
  }
  let fullTokens = roundDown(estimate, pageSize);
  while (swaTokensOf(fullTokens, pooling) < wanted) fullTokens += pageSize;
  return fullTokens;
}

function windowOf({ layers }: ModelShape): number {
  return Math.max(0, ...groupLayers(layers).map(({ layer }) => windowTokensOf(layer)));
}

function windowTokensOf(layer: LayerShape): number {
  if (layer.kind === "chunked") return layer.chunkTokens;
  return "windowTokens" in layer ? layer.windowTokens : 0;
}

/** An encoder's tokens take slots of the same pool, before those of the text. */
function encoderPlaces({ layers }: ModelShape, encoderTokens: number): number {
  const places = groupLayers(layers).map(({ layer }) =>
    layer.kind === "cross" ? (layer.encoderTokens ?? encoderTokens) : 0,
  );
  return Math.max(0, ...places);
}
