import { checkShape } from "./check-shape.ts";
import { InvalidConfigError } from "./errors.ts";
import { exactProduct, exactSum } from "./exact.ts";
import { type KvFormat, type KvFormatInput, resolveFormat } from "./format.ts";
import { checkCount, isRecord } from "./kv-cache-config.ts";
import {
  groupLayersByFormat,
  layerBytes,
  layerGrowthBytes,
  rowTotal,
  type SequenceLength,
  stateBytes,
  tokenRow,
} from "./layer-bytes.ts";
import type { LayerKind, LayerShape } from "./layer-shape.ts";
import type { ModelShape } from "./model-shape.ts";
import { rankShapes, resolveSharding, type Sharding } from "./sharding.ts";
import { windowPlaces } from "./stored-tokens.ts";

/** How much a cache is to hold. */
export interface CacheUse {
  /** Tokens of each sequence. */
  readonly tokens: number;
  /** 1 unless given. */
  readonly sequences?: number;
  /** Encoder tokens of each sequence, where the model does not fix them; 0 unless given. */
  readonly encoderTokens?: number;
  /** `"fp16"` unless given. */
  readonly format?: KvFormatInput;
  /** Tokens are kept in blocks of this many; 1 unless given. */
  readonly tokensPerBlock?: number;
  readonly sharding?: Sharding;
}

/** Layers of one geometry and what they take for one sequence, over all devices that hold a part of it. */
export interface LayerGroupSize {
  readonly kind: LayerKind;
  readonly count: number;
  /** Bytes of all these layers together. */
  readonly bytes: number;
  readonly layer: LayerShape;
}

/** The size of a cache under the rule `exact`: what this project's own allocator takes. */
export interface CacheSize {
  readonly totalBytes: number;
  readonly bytesPerSequence: number;
  /** What one more token of one sequence adds once windows are full. A fraction where entries stand for several tokens. */
  readonly bytesPerToken: number;
  /** The most that any one device takes. */
  readonly largestDeviceBytes: number;
  readonly numDevices: number;
  readonly layers: readonly LayerGroupSize[];
}

/**
 * The size of a model's cache, over all devices.
 *
 * @throws InvalidConfigError, SizeOverflowError
 */
export function sizeOf(shape: ModelShape, use: CacheUse): CacheSize {
  checkShape(shape);
  const format = resolveFormat(use.format);
  const { sequences, length, sharding } = resolveUse(use);
  const stages = rankShapes(shape, sharding);
  const ranks = sharding.tensor * sharding.context;
  const stageBytes = stages.map((stage) => sequenceBytes(stage, format, length));
  const bytesPerSequence = exactProduct("a sequence", exactSum("a sequence", stageBytes), ranks);
  const largestShare = Math.ceil(sequences / sharding.data);
  return {
    totalBytes: exactProduct("the cache", bytesPerSequence, sequences),
    bytesPerSequence,
    bytesPerToken: sum(stages, (stage) => growthBytesPerToken(stage, format)) * sharding.tensor,
    largestDeviceBytes: exactProduct("one device", Math.max(...stageBytes), largestShare),
    numDevices: ranks * sharding.pipeline * sharding.data,
    layers:
      stages.length === 1 ? groupSizes(stages, format, length, ranks) : mergedGroups(stages, format, length, ranks),
  };
}

interface ResolvedUse {
  readonly sequences: number;
  readonly length: SequenceLength;
  readonly sharding: Required<Sharding>;
}

function resolveUse(use: CacheUse): ResolvedUse {
  if (!isRecord(use)) throw new InvalidConfigError("use", use, "an object with tokens");
  const { tokens, sequences = 1, encoderTokens = 0, tokensPerBlock = 1 } = use;
  checkCount("tokens", tokens, 0);
  checkCount("sequences", sequences, 0);
  checkCount("encoderTokens", encoderTokens, 0);
  checkCount("tokensPerBlock", tokensPerBlock);
  const sharding = resolveSharding(use.sharding);
  return {
    sequences,
    sharding,
    length: { tokens: Math.ceil(tokens / sharding.context), encoderTokens, tokensPerBlock },
  };
}

function sequenceBytes(shape: ModelShape, format: KvFormat, length: SequenceLength): number {
  return exactSum(
    "a sequence",
    groupSizes([shape], format, length, 1).map(({ bytes }) => bytes),
  );
}

function mergedGroups(
  stages: readonly ModelShape[],
  format: KvFormat,
  length: SequenceLength,
  copies: number,
): LayerGroupSize[] {
  const layers = stages.flatMap((stage) => stage.layers);
  return groupSizes([{ ...(stages[0] as ModelShape), layers }], format, length, copies);
}

function groupSizes(
  shapes: readonly ModelShape[],
  format: KvFormat,
  length: SequenceLength,
  copies: number,
): LayerGroupSize[] {
  return groupLayersByFormat(shapes[0]?.layers ?? [], format).map(({ layer, indices }) => {
    const bytes = exactProduct("a kind of layer", layerBytes(layer, format, length), indices.length, copies);
    return { kind: layer.kind, count: indices.length, bytes, layer };
  });
}

function sum<Item>(items: readonly Item[], bytesOf: (item: Item) => number): number {
  return items.reduce((total, item) => total + bytesOf(item), 0);
}

/** Bytes that one more token adds once windows are full. */
export function growthBytesPerToken(shape: ModelShape, format?: KvFormatInput): number {
  checkShape(shape);
  const resolved = resolveFormat(format);
  return sum(
    groupLayersByFormat(shape.layers, resolved),
    ({ layer, indices }) => layerGrowthBytes(layer, resolved) * indices.length,
  );
}

/** Bytes that one more token adds while every window still has room: what a runtime without windows takes throughout. */
export function windowlessBytesPerToken(shape: ModelShape, format?: KvFormatInput): number {
  checkShape(shape);
  const resolved = resolveFormat(format);
  const windowed = shape.layers.filter(({ kind }) => kind === "sliding" || kind === "chunked" || kind === "compressed");
  return growthBytesPerToken(shape, resolved) + sum(windowed, (layer) => rowTotal(tokenRow(layer, resolved)));
}

/** Bytes of all windows and chunks of one sequence when they are full, without blocks or paddings. */
export function windowBytes(shape: ModelShape, format?: KvFormatInput): number {
  checkShape(shape);
  const resolved = resolveFormat(format);
  return sum(shape.layers, (layer) => {
    if (layer.kind === "chunked") return layer.chunkTokens * rowTotal(tokenRow(layer, resolved));
    if (layer.kind !== "sliding" && layer.kind !== "compressed") return 0;
    return windowPlaces(layer.windowTokens, layer.windowTokens, 1) * rowTotal(tokenRow(layer, resolved));
  });
}

/** Bytes of all recurrent state of one sequence. */
export function stateBytesPerSequence(shape: ModelShape, format?: KvFormatInput): number {
  checkShape(shape);
  const resolved = resolveFormat(format);
  return sum(shape.layers, (layer) => (layer.kind === "state" ? stateBytes(layer, resolved) : 0));
}

/** Bytes that one token of the encoder takes in all cross layers. */
export function crossBytesPerEncoderToken(shape: ModelShape, format?: KvFormatInput): number {
  checkShape(shape);
  const resolved = resolveFormat(format);
  return sum(shape.layers, (layer) => (layer.kind === "cross" ? rowTotal(tokenRow(layer, resolved)) : 0));
}
