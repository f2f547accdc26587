import { PagedKVCache } from "@kv/cache";
import type { ModelShape } from "@kv/config";
import type { Device } from "@kv/device-memory";
import type { BlockManagerOptions } from "@kv/paging";
import type { ReplayObserver } from "@kv/paging/replay";
import type { Progress } from "../progress.ts";
import { cacheLayers } from "./cache-layers.ts";
import { CacheReader, type WrongToken } from "./cache-reader.ts";
import { CacheWriter } from "./cache-writer.ts";
import { Content } from "./content.ts";
import { widened } from "./device-shape.ts";
import { DEFAULT_SHAPE, layeredPool } from "./replay-model.ts";
import type { ReplayRequest } from "./replay-request.ts";
import { countsByIds, type Replayed, runReplay } from "./run-replay.ts";

/** What a replay in the memory of a device gave. */
export interface DeviceReplayed extends Replayed {
  readonly device: string;
  /** What the cache took. */
  readonly allocatedBytes: number;
  readonly writtenBytes: number;
  readonly readBytes: number;
  readonly readRequests: number;
  readonly wrong: readonly WrongToken[];
}

/** Replays through a `PagedKVCache`: writes what is computed, and reads back every `sample`th request when it ends. */
export function runOnDevice(
  request: ReplayRequest,
  device: Device,
  sample: number,
  progress: Progress,
): DeviceReplayed {
  using memory = new ReplayMemory(request, device, sample);
  const replayed = runReplay(request, progress, memory.observer);
  return { ...replayed, device: device.name, ...memory.figures() };
}

class ReplayMemory implements Disposable {
  readonly observer: ReplayObserver;
  readonly #request: ReplayRequest;
  readonly #device: Device;
  #cache: PagedKVCache | undefined;
  #writer: CacheWriter | undefined;
  #reader: CacheReader | undefined;

  constructor(request: ReplayRequest, device: Device, sample: number) {
    this.#request = request;
    this.#device = device;
    this.observer = {
      makePool: (options) => this.#allocate(options).blocks,
      onCompute: (index, table, from, to) => this.#writer?.write(index, table, from, to),
      onEnd: (index, table) => {
        if (index % sample === 0) this.#reader?.read(index, table);
      },
    };
  }

  figures(): Omit<DeviceReplayed, keyof Replayed | "device"> {
    return {
      allocatedBytes: this.#cache?.sizeBytes ?? 0,
      writtenBytes: this.#writer?.writtenBytes ?? 0,
      readBytes: this.#reader?.readBytes ?? 0,
      readRequests: this.#reader?.readRequests ?? 0,
      wrong: this.#reader?.wrong ?? [],
    };
  }

  [Symbol.dispose](): void {
    this.#writer?.[Symbol.dispose]();
    this.#cache?.dispose();
  }

  #allocate(options: BlockManagerOptions): PagedKVCache {
    const { policy, clock } = options;
    const managing = { owner: "kv replay", ...(policy && { policy }), ...(clock && { clock }) };
    const cache = PagedKVCache.allocate(this.#device, this.#config(options), managing);
    this.#cache = cache;
    const { trace, tokensPerBlock } = this.#request;
    const rows = cacheLayers(cache).flatMap(({ keyBytes, valueBytes }) => [keyBytes, valueBytes]);
    const tokensPerIndex = countsByIds(this.#request) ? tokensPerBlock : 1;
    const content = new Content(trace, tokensPerIndex, Math.max(1, ...rows));
    this.#writer = new CacheWriter(cache, content);
    this.#reader = new CacheReader(cache, content);
    return cache;
  }

  #config({ numBlocks }: BlockManagerOptions): Parameters<typeof PagedKVCache.allocate>[1] {
    const { model, tokensPerBlock, dtype } = this.#request;
    const shape: ModelShape = model?.shape ?? DEFAULT_SHAPE;
    if (countsByIds(this.#request)) {
      return { shape: widened(shape, tokensPerBlock), tokens: numBlocks, tokensPerBlock: 1, format: dtype };
    }
    if (model === undefined || model.isUniform) {
      return { shape, tokens: numBlocks * tokensPerBlock, tokensPerBlock, format: dtype };
    }
    const blocks = this.#request.blocks as number; // a pool of several kinds of layers has a size
    return layeredPool(model, blocks, this.#request).config;
  }
}
