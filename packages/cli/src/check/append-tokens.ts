import type { CacheAppendInput, KVCache } from "@kv/cache";
import type { DeviceMemory, MemoryRegion } from "@kv/device-memory";
import type { HostElements } from "@kv/kernels";
import type { VramTracker } from "@kv/vram-tracker";
import { type BitsOf, elementsOf } from "./random-bits.ts";

/** How many tokens are appended: a prompt at once, then some one by one. */
export interface AppendedTokens {
  readonly promptTokens: number;
  readonly decodeTokens: number;
}

/** How long that took, until the tokens were there. */
export interface AppendTimes {
  /** The prompt in all layers, from device memory. In a new process it includes loading the kernel. */
  readonly promptMs: number;
  /** One token in all layers, from JavaScript's memory; the mean, 0 without such tokens. */
  readonly decodeMsPerToken: number;
}

const MOST_PROMPT_TOKENS = 32;
const MOST_DECODE_TOKENS = 8;

/** A prompt and some tokens that fit in a context; the prompt has at least one. */
export function tokensToAppend(maxContextLength: number): AppendedTokens {
  const decodeTokens = Math.min(MOST_DECODE_TOKENS, maxContextLength - 1);
  return { promptTokens: Math.min(MOST_PROMPT_TOKENS, maxContextLength - decodeTokens), decodeTokens };
}

/**
 * Fills the start of an empty cache as inference does: a prompt out of device memory, by the append kernel, then single
 * tokens out of JavaScript's memory. Token `t` of a tensor has the `t`-th part of the tensor's bits.
 *
 * @throws OutOfMemoryError when the prompt does not fit beside the cache
 */
export function appendTokens(
  cache: KVCache,
  tracker: VramTracker,
  tokens: AppendedTokens,
  bitsOf: BitsOf,
): AppendTimes {
  const promptMs = appendPrompt(cache, tracker, tokens.promptTokens, bitsOf);
  return { promptMs, decodeMsPerToken: appendOneByOne(cache, tokens, bitsOf) };
}

function appendPrompt(cache: KVCache, tracker: VramTracker, promptTokens: number, bitsOf: BitsOf): number {
  const { device } = cache;
  const numBytes = promptTokens * tokenBytesOf(cache);
  using prompt = device.allocate(2 * cache.config.numLayers * numBytes, {
    purpose: "intermediate_buffers",
    owner: "kv check",
    description: "keys and values of a prompt",
    tracker,
  });
  const inputs = eachLayer(cache, (layer) => ({
    keys: uploaded(prompt, 2 * layer, bitsOf({ layer, tensor: "keys" }, numBytes)),
    values: uploaded(prompt, 2 * layer + 1, bitsOf({ layer, tensor: "values" }, numBytes)),
  }));
  const startedAt = performance.now();
  appendStep(cache, inputs, promptTokens);
  return performance.now() - startedAt;
}

function uploaded(memory: DeviceMemory, index: number, bits: Uint8Array): MemoryRegion {
  const place = memory.slice(index * bits.byteLength, bits.byteLength);
  place.copyFromHostSync(bits);
  return place;
}

function appendOneByOne(cache: KVCache, { promptTokens, decodeTokens }: AppendedTokens, bitsOf: BitsOf): number {
  if (decodeTokens === 0) return 0;
  const steps = stepsOf(cache, promptTokens, decodeTokens, bitsOf);
  const startedAt = performance.now();
  for (const inputs of steps) appendStep(cache, inputs, 1);
  return (performance.now() - startedAt) / decodeTokens;
}

/** The inputs of every decode step, for each layer. */
function stepsOf(cache: KVCache, promptTokens: number, decodeTokens: number, bitsOf: BitsOf): CacheAppendInput[][] {
  const tokenBytes = tokenBytesOf(cache);
  const numBytes = (promptTokens + decodeTokens) * tokenBytes;
  const bits = eachLayer(cache, (layer) => ({
    keys: bitsOf({ layer, tensor: "keys" }, numBytes),
    values: bitsOf({ layer, tensor: "values" }, numBytes),
  }));
  return Array.from({ length: decodeTokens }, (_, step) => {
    const start = (promptTokens + step) * tokenBytes;
    const tokenOf = (all: Uint8Array<ArrayBuffer>): HostElements =>
      elementsOf(all.subarray(start, start + tokenBytes), cache.config.dtype);
    return bits.map(({ keys, values }) => ({ keys: tokenOf(keys), values: tokenOf(values) }));
  });
}

function appendStep(cache: KVCache, inputs: readonly CacheAppendInput[], numTokens: number): void {
  for (const [layer, input] of inputs.entries()) cache.append(layer, input);
  cache.advancePosition(numTokens);
  cache.device.defaultStream.synchronizeSync();
}

function tokenBytesOf(cache: KVCache): number {
  return cache.keys(0).stridesBytes[0];
}

function eachLayer<Item>(cache: KVCache, make: (layer: number) => Item): Item[] {
  return Array.from({ length: cache.config.numLayers }, (_, layer) => make(layer));
}
