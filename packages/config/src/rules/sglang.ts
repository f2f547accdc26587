import { UnsupportedModelError } from "../errors.ts";
import { exactProduct, exactSum } from "../exact.ts";
import {
  entryBytes,
  groupLayersByFormat,
  layerGrowthBytes,
  rowTotal,
  stateBytes,
  type TokenRow,
  tokenRow,
} from "../layer-bytes.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { rankShapes } from "../sharding.ts";
import { Knobs } from "./knobs.ts";
import type { Rule, RuleBlocks, RuleFigure, RuleLayers, RuleRequest, RuleSize } from "./rule.ts";

/**
 * SGLang: a pool of token slots, one page larger than asked for, with every layer at full size. Knobs: `pageSize`
 * (`--page-size`, 1 unless given) and `maxTotalTokens` (`--max-total-tokens`: the tokens of all sequences unless given).
 */
export const sglangRule: Rule = {
  name: "sglang",
  version: "0.4.9 to 0.5 (July 2025 to 2026)",
  documentation: [
    "https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/mem_cache/memory_pool.py",
    "https://github.com/vllm-project/vllm/issues/21348",
    "https://github.com/sgl-project/sglang/pull/11309",
  ],
  size,
};

interface Pool {
  readonly shape: ModelShape;
  /** Slots that are allocated. */
  readonly slots: number;
  readonly tokens: number;
  readonly sequences: number;
}

function size(shape: ModelShape, request: RuleRequest): RuleSize {
  const knobs = new Knobs(request.knobs, ["pageSize", "maxTotalTokens"]);
  const { sharding, sequences } = request;
  refuseUnstated(shape);
  const share = Math.ceil(sequences / sharding.data);
  const pageSize = knobs.count("pageSize", request.tokensPerBlock ?? 1);
  const own = Math.ceil(exactProduct("the tokens", request.tokens, share) / sharding.context);
  const tokens = knobs.count("maxTotalTokens", own, 0);
  const pools = rankShapes(shape, sharding).map((part) => ({
    shape: part,
    slots: tokens + pageSize,
    tokens,
    sequences: share,
  }));
  const ranks = sharding.tensor * sharding.context * sharding.data;
  const poolBytes = pools.map((pool) => poolTotal(pool, request));
  const totalBytes = exactProduct("the pools", exactSum("the pools", poolBytes), ranks);
  return {
    totalBytes,
    bytesPerSequence: sequences === 0 ? 0 : totalBytes / sequences,
    bytesPerToken: growth(pools, request) * sharding.tensor,
    largestDeviceBytes: Math.max(...poolBytes),
    numDevices: ranks * sharding.pipeline,
    details: () => ({
      layers: layersOf(pools, request, ranks),
      figures: pools.slice(0, 1).flatMap((pool) => figuresOf(pool, request)),
      assumptions: windowAssumption(shape),
      blocks: pagesOf(pools, request, pageSize),
    }),
  };
}

function refuseUnstated(shape: ModelShape): void {
  const other = shape.layers.find(({ kind }) => kind === "compressed" || kind === "cross");
  if (other === undefined) return;
  throw new UnsupportedModelError(
    shape.modelType,
    `layers[${other.index}].kind`,
    other.kind,
    "a kind that this rule states",
  );
}

function windowAssumption(shape: ModelShape): string[] {
  const windowed = shape.layers.some(({ kind }) => kind === "sliding" || kind === "chunked");
  return windowed ? ["windowed layers are counted in full, as without the hybrid SWA pool"] : [];
}

function rowOf(layer: LayerShape, request: RuleRequest): TokenRow {
  return tokenRow(layer, request.format);
}

function layerTotal(layer: LayerShape, pool: Pool, request: RuleRequest): number {
  if (layer.kind === "state") return exactProduct("states", stateBytes(layer, request.format), pool.sequences + 1);
  return exactProduct("a layer", rowTotal(rowOf(layer, request)) + entryBytes(layer, request.format), pool.slots);
}

function poolTotal(pool: Pool, request: RuleRequest): number {
  const groups = groupLayersByFormat(pool.shape.layers, request.format);
  return exactSum(
    "a pool",
    groups.map(({ layer, indices }) => layerTotal(layer, pool, request) * indices.length),
  );
}

/** Pages of every layer but the recurrent ones; the pool has one page more than it can use. */
function pagesOf(pools: readonly Pool[], request: RuleRequest, pageSize: number): RuleBlocks | null {
  const pageBytes = pools.map((pool) => pageSize * growth([pool], request));
  const states = pools.map((pool) => poolTotal({ ...pool, slots: 0 }, request));
  const bytesPerBlock = Math.ceil(Math.max(...pageBytes));
  if (bytesPerBlock === 0) return null;
  return { tokensPerBlock: pageSize, bytesPerBlock, fixedBytes: Math.max(...states) + bytesPerBlock };
}

function growth(pools: readonly Pool[], { format }: RuleRequest): number {
  return pools
    .flatMap((pool) => groupLayersByFormat(pool.shape.layers, format))
    .reduce((total, { layer, indices }) => {
      const windowed = layer.kind === "sliding" || layer.kind === "chunked";
      const bytes = windowed ? rowTotal(tokenRow(layer, format)) : layerGrowthBytes(layer, format);
      return total + bytes * indices.length;
    }, 0);
}

function layersOf(pools: readonly Pool[], request: RuleRequest, copies: number): RuleLayers[] {
  const [pool] = pools as readonly [Pool, ...Pool[]];
  const layers = pools.flatMap(({ shape }) => shape.layers);
  return groupLayersByFormat(layers, request.format).map(({ layer, indices }) => {
    return {
      kind: layer.kind,
      count: indices.length,
      bytes: layerTotal(layer, pool, request) * indices.length * copies,
    };
  });
}

/** The log of one rank; its "GB" are GiB. */
function figuresOf(pool: Pool, request: RuleRequest): RuleFigure[] {
  const sum = (bytesOf: (row: TokenRow) => number): number =>
    pool.shape.layers.reduce((total, layer) => total + bytesOf(rowOf(layer, request)), 0) * pool.slots;
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GB`;
  const figures = [{ name: "#tokens", value: `${pool.tokens}` }];
  const isLatent = pool.shape.layers.some(({ kind }) => kind === "latent");
  if (isLatent) return [...figures, { name: "KV size", value: gib(sum(rowTotal)) }];
  const keys = { name: "K size", value: gib(sum(({ keyBytes }) => keyBytes)) };
  return [...figures, keys, { name: "V size", value: gib(sum(({ valueBytes }) => valueBytes)) }];
}
