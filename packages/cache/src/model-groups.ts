import {
  elementBytes,
  groupLayers,
  InvalidConfigError,
  isKvDtype,
  type KvDtype,
  type KvFormat,
  type LayerShape,
  resolveFormat,
  sizeOf,
} from "@kv/config";
import type { LayerGroupSpec } from "@kv/paging";
import type { CacheGroup, StateBytes, TokenRow } from "./cache-group.ts";
import { LayerKindError } from "./errors.ts";
import type { ModelPagedConfig } from "./paged-config.ts";

/** A group of a model's layers with the room that is planned for it. */
export interface PlannedGroup extends CacheGroup {
  /** What all sequences take in it. */
  readonly plannedBytes: number;
}

/**
 * The groups of a model's layers, with the room that `sizeOf` gives them. Layers are entries of `shape.layers`.
 * @throws LayerKindError for layers that blocks do not hold; InvalidConfigError, SizeOverflowError
 */
export function modelGroups(config: ModelPagedConfig, tokensPerBlock: number): PlannedGroup[] {
  const { shape, tokens, sequences = 1 } = config;
  const format = resolveFormat(config.format);
  const sized = sizeOf(shape, { tokens, sequences, format, tokensPerBlock });
  const isExempt = (entry: number): boolean => format.exemptLayers.includes(shape.layers[entry]?.index ?? -1);
  // Grouped as `sizeOf` does, but with the entries' own numbers: a model's layer may have two caches.
  const entries = shape.layers.map((layer, entry) => ({ ...layer, index: entry }));
  return groupLayers(entries, ({ index }) => (isExempt(index) ? "exempt" : "")).flatMap((group, i) => {
    const { kind } = group.layer;
    if (kind === "shared" || kind === "none") return [];
    const spec = groupSpec(group.layer, config.checkpointTokens);
    const holds = heldBy(group.layer, format, isExempt(group.layer.index));
    const plannedBytes = (sized.layers[i]?.bytes ?? 0) * sequences;
    return [{ spec, layers: group.indices, layerBytes: layerBytes(holds, tokensPerBlock), holds, plannedBytes }];
  });
}

/** Named after what tells groups of a model apart. */
function groupSpec(layer: LayerShape, checkpointTokens = 0): LayerGroupSpec {
  const name = `${layer.kind} from layer ${layer.index}`;
  if (layer.kind === "sliding") return { name, kind: "sliding", windowTokens: layer.windowTokens };
  if (layer.kind === "chunked") return { name, kind: "chunked", chunkTokens: layer.chunkTokens };
  if (layer.kind === "state") return { name, kind: "state", checkpointTokens };
  if (layer.kind === "full" || layer.kind === "latent") return { name, kind: layer.kind };
  throw new LayerKindError(
    layer.index,
    layer.kind,
    "a paged cache holds full, sliding, chunked, latent and state layers",
  );
}

function heldBy(layer: LayerShape, format: KvFormat, isExempt: boolean): TokenRow | StateBytes {
  if (layer.kind === "state") {
    const { convWidth, convColumns, stateElements } = layer;
    return {
      convBytes: convWidth * convColumns * elementBytes(format.conv),
      stateBytes: stateElements * elementBytes(format.state),
    };
  }
  const dtype = isExempt ? plainType(format.exemptType, format.exemptType) : plainType(format.keys, format.values);
  if ("indexerKeyDim" in layer && layer.indexerKeyDim > 0) {
    throw new LayerKindError(layer.index, `${layer.kind} with an indexer`, "a paged cache holds no indexer keys");
  }
  if (layer.kind === "latent") {
    return { dtype, numKvHeads: 1, keyDim: layer.latentDim, valueDim: layer.ropeDim, isJoined: true };
  }
  if (!("numKvHeads" in layer) || layer.valueDim === 0) {
    throw new LayerKindError(layer.index, layer.kind, "without values of its own; a paged cache holds keys and values");
  }
  return {
    dtype,
    numKvHeads: layer.numKvHeads,
    keyDim: layer.keyDim,
    valueDim: layer.valueDim,
    isJoined: false,
  };
}

/** @throws InvalidConfigError for types with scales, and for keys and values of two types */
function plainType(keys: string, values: string): KvDtype {
  if (isKvDtype(keys) && keys === values) return keys;
  throw new InvalidConfigError("format", `${keys}, ${values}`, "one plain type for keys and values in a paged cache");
}

function layerBytes(holds: TokenRow | StateBytes, tokensPerBlock: number): number {
  if ("convBytes" in holds) return holds.convBytes + holds.stateBytes;
  const { dtype, numKvHeads, keyDim, valueDim } = holds;
  return tokensPerBlock * numKvHeads * (keyDim + valueDim) * elementBytes(dtype);
}
