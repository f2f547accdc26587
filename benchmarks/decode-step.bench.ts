// A decode step of Llama-3-8B's 32 layers over the paged cache, from TypeScript: rotary embedding, append and attention of
// every layer, by calls and by replaying a graph of the same calls; and the appends alone. Each step appends a token to
// every sequence, prepares the batch, queues the layers and commits. `--device=host` for another device than the first GPU.
import { type Batch, PagedKVCache, type PagedSequence } from "@kv/cache";
import { type Device, type DeviceMemory, openDevice } from "@kv/device-memory";
import { formatUs, printTable, time } from "./figures.ts";

const LLAMA_8B = { numLayers: 32, numKvHeads: 8, headDim: 128, dtype: "bf16" } as const;
const NUM_QUERY_HEADS = 32;
const TOKENS_PER_BLOCK = 16;
const STEPS_IN_A_ROW = 10;
/** Sequences, and tokens of each. */
const GPU_STEPS = [
  [1, 8192],
  [16, 8192],
  [64, 1024],
] as const;
const HOST_STEPS = [[1, 512]] as const;
const name = process.argv.find((arg) => arg.startsWith("--device="))?.slice("--device=".length) ?? "auto";

/** A cache with the keys and values of some sequences, and the inputs of a step. */
interface Model extends Disposable {
  readonly batch: Batch;
  /** One token more for each sequence, and what the kernels must know of it. */
  prepare(): void;
  /** Gives the sequences their first length again. */
  rewind(): void;
  attend(): void;
  append(): void;
}

const device = openDevice(name);
const numSteps = device.kind === "cuda" ? 100 : 20;
process.stdout.write(`${device.name}: ${device.properties.description}\n`);
for (const [batch, length] of device.kind === "cuda" ? GPU_STEPS : HOST_STEPS) benchStep(batch, length);
device.dispose();

function benchStep(batch: number, length: number): void {
  using model = openModel(device, batch, length);
  const rows = (["attend", "append"] as const).flatMap((work) => {
    using graph = model.batch.captureDecode(() => model[work]());
    const replay = (): void => graph.replay();
    const row = (how: string, queue: () => void): string[] => {
      const { queuedUs, doneUs, flowingUs, deviceUs } = timeSteps(model, queue, replay);
      const times = [queuedUs, doneUs, flowingUs, deviceUs, doneUs - deviceUs, flowingUs - deviceUs];
      return [`${work}, ${how}`, ...times.map(formatUs)];
    };
    return [row("by calls", () => model[work]()), row("by replay", replay)];
  });
  printTable(
    `A decode step of ${LLAMA_8B.numLayers} layers, ${batch} x ${length} tokens`,
    ["", "until queued", "until done", "back to back", "the device's own", "over it, done", "back to back"],
    rows,
  );
}

/** Medians: of steps until they are queued, until they are done, and of ten in a row; and of replays on the device's clock. */
interface StepTimes {
  readonly queuedUs: number;
  readonly doneUs: number;
  readonly flowingUs: number;
  readonly deviceUs: number;
}

/** The device's clock takes turns with the host's, and the sequences never grow by more than ten tokens. */
function timeSteps(model: Model, queue: () => void, replay: () => void): StepTimes {
  const stream = device.defaultStream;
  using start = device.createEvent();
  using end = device.createEvent();
  const onDevice: number[] = [];
  const replayOnDevice = (): void => {
    stream.synchronizeSync();
    step(model, () => {
      stream.record(start);
      replay();
      stream.record(end);
    });
    stream.synchronizeSync();
    onDevice.push(end.elapsedMsSince(start) * 1000);
    model.rewind();
  };
  const queued = time(numSteps, () => step(model, queue), replayOnDevice);
  onDevice.length = 0;
  const untilDone = (): void => {
    step(model, queue);
    stream.synchronizeSync();
  };
  const done = time(numSteps, untilDone, replayOnDevice);
  onDevice.sort((a, b) => a - b);
  const tenSteps = (): void => {
    for (let i = 0; i < STEPS_IN_A_ROW; i++) step(model, queue);
    stream.synchronizeSync();
  };
  const flowing = time(numSteps / STEPS_IN_A_ROW, tenSteps, model.rewind);
  return {
    queuedUs: queued.medianUs,
    doneUs: done.medianUs,
    flowingUs: flowing.medianUs / STEPS_IN_A_ROW,
    deviceUs: onDevice[numSteps >> 1] as number,
  };
}

function step({ prepare, batch }: Model, queue: () => void): void {
  prepare();
  queue();
  batch.commit();
}

function openModel(device: Device, maxSequences: number, length: number): Model {
  const maxBlocksPerSequence = Math.ceil((length + STEPS_IN_A_ROW) / TOKENS_PER_BLOCK);
  const numBlocks = maxSequences * maxBlocksPerSequence;
  const cache = PagedKVCache.allocate(device, { ...LLAMA_8B, tokensPerBlock: TOKENS_PER_BLOCK, numBlocks });
  for (const buffer of cache.buffers) buffer.fill(0x3c); // 0.0115 in bf16
  const batch = cache.createBatch({ maxSequences, maxBlocksPerSequence });
  const sequences = Array.from({ length: maxSequences }, (_, i) => filledSequence(cache, i, length));
  const headBytes = maxSequences * LLAMA_8B.headDim * 2;
  const [q, k, v, output] = [NUM_QUERY_HEADS, LLAMA_8B.numKvHeads, LLAMA_8B.numKvHeads, NUM_QUERY_HEADS].map((heads) =>
    device.allocate(heads * headBytes),
  ) as [DeviceMemory, DeviceMemory, DeviceMemory, DeviceMemory];
  const inverseFrequencies = device.allocate((LLAMA_8B.headDim / 2) * 4);
  const rotary = { style: "half-split", inverseFrequencies } as const;
  const input = { q, k, v, output, numQueryHeads: NUM_QUERY_HEADS, rotary };
  const layers = Array.from({ length: LLAMA_8B.numLayers }, (_, layer) => layer);
  return {
    batch,
    prepare: () => {
      for (const sequence of sequences) sequence.appendToken(1);
      batch.prepare(sequences);
    },
    rewind: () => {
      for (const sequence of sequences) sequence.truncate(length);
    },
    attend: () => {
      for (const layer of layers) cache.attend(layer, batch, input);
    },
    append: () => {
      for (const layer of layers) cache.append(layer, batch, { keys: k, values: v });
    },
    [Symbol.dispose]: () => {
      for (const each of [q, k, v, output, inverseFrequencies, batch, cache]) each.dispose();
    },
  };
}

/** A sequence whose keys and values count as written. */
function filledSequence(cache: PagedKVCache, number: number, length: number): PagedSequence {
  using prompt = cache.createBatch({
    maxSequences: 1,
    maxTokens: length,
    maxBlocksPerSequence: Math.ceil(length / TOKENS_PER_BLOCK),
  });
  const sequence = cache.createSequence(Int32Array.from({ length }, (_, i) => number * length + i));
  prompt.prepare([sequence]);
  prompt.commit();
  return sequence;
}
