// What a cache costs the host for one decoded token of Llama-3-8B, and what the kernels move. `--device=host` for another
// device than the first GPU.
import { KVCache } from "@kv/cache";
import { type Device, openDevice } from "@kv/device-memory";
import { append, copyBlocks, KvView } from "@kv/kernels";
import { probeDriver } from "./driver-probe.ts";
import { formatUs, gigabytesPerSecond, nanosecondsPerCall, printTable, type Timing, time } from "./figures.ts";

const LLAMA_8B = { numLayers: 32, maxContextLength: 4096, numKvHeads: 8, headDim: 128 };
const TOKEN_BYTES = LLAMA_8B.numKvHeads * LLAMA_8B.headDim * 2;
const MEBIBYTE = 1024 ** 2;
const name = process.argv.find((arg) => arg.startsWith("--device="))?.slice("--device=".length) ?? "auto";

const device = openDevice(name);
process.stdout.write(`${device.name}: ${device.properties.description}\n`);
benchToken(device);
benchKernels(device);
device.dispose();

function benchToken(device: Device): void {
  using cache = KVCache.allocate(device, LLAMA_8B);
  using keys = device.allocate(TOKEN_BYTES);
  using values = device.allocate(TOKEN_BYTES);
  const hostKeys = new Uint16Array(TOKEN_BYTES / 2).fill(1);
  const everyLayer = (append: (layer: number) => void) => () => {
    for (let layer = 0; layer < LLAMA_8B.numLayers; layer++) append(layer);
  };
  const settle = () => device.defaultStream.synchronizeSync();
  const fromDevice = time(
    2000,
    everyLayer((layer) => cache.append(layer, { keys, values })),
    settle,
  );
  const fromHost = time(
    200,
    everyLayer((layer) => cache.append(layer, { keys: hostKeys, values: hostKeys })),
    settle,
  );
  const bareUs = probeDriver(device.kind, [])("launches", LLAMA_8B.numLayers);
  printTable(
    "Host time of Llama-3-8B's cache",
    ["", "median", "least"],
    [
      ["append one token to 32 layers, from device memory", ...timing(fromDevice)],
      ["32 launches of append by the bare driver", bareUs === undefined ? "" : formatUs(bareUs), ""],
      ["append one token to 32 layers, from typed arrays", ...timing(fromHost)],
      ["keys(layer)", `${nanosecondsPerCall(1e6, (i) => cache.keys(i % 32)).toFixed(0)} ns`, ""],
      ["keys(layer).address", `${nanosecondsPerCall(1e6, (i) => cache.keys(i % 32).address).toFixed(0)} ns`, ""],
    ],
  );
}

function benchKernels(device: Device): void {
  const tokensPerBlock = 16;
  const planeBytes = (device.kind === "cuda" ? 1024 : 64) * MEBIBYTE;
  const numBlocks = planeBytes / (tokensPerBlock * TOKEN_BYTES);
  using keys = device.allocate(planeBytes);
  using values = device.allocate(planeBytes);
  using newKeys = device.allocate(planeBytes / 2);
  using newValues = device.allocate(planeBytes / 2);
  const plane = {
    blockStrideBytes: tokensPerBlock * TOKEN_BYTES,
    tokenStrideBytes: TOKEN_BYTES,
    headStrideBytes: 256,
    headDim: 128,
  };
  const view = new KvView({
    keys: { memory: keys, ...plane },
    values: { memory: values, ...plane },
    dtype: "fp16",
    numKvHeads: 8,
    tokensPerBlock,
    numBlocks,
  });
  const pairs = Array.from({ length: numBlocks / 2 }, (_, i) => ({ from: i, to: numBlocks / 2 + i }));
  const synchronized = (queue: () => void) => () => {
    queue();
    device.defaultStream.synchronizeSync();
  };
  // Both planes' halves are read and written, by the kernels as by the copies that are the limit.
  const movedBytes = 2 * planeBytes;
  const copied = time(
    20,
    synchronized(() => {
      keys.slice(0, planeBytes / 2).copyFrom(newKeys);
      values.slice(0, planeBytes / 2).copyFrom(newValues);
    }),
  );
  const appended = time(
    20,
    synchronized(() => append(view, { keys: newKeys, values: newValues, slots: 0 })),
  );
  const blocks = time(
    20,
    synchronized(() => copyBlocks(view, pairs)),
  );
  const row = (what: string, { medianUs }: Timing) => [
    what,
    formatUs(medianUs),
    `${gigabytesPerSecond(movedBytes, medianUs).toFixed(0)} GB/s`,
    `${((100 * copied.medianUs) / medianUs).toFixed(0)} %`,
  ];
  printTable(
    `Kernels over ${(planeBytes / MEBIBYTE).toFixed(0)} MiB of keys and as many of values, half of it new`,
    ["", "median", "read + written", "of plain copies"],
    [row("plain copies", copied), row("append", appended), row("copyBlocks of 32 KiB", blocks)],
  );
}

function timing({ medianUs, minUs }: Timing): [string, string] {
  return [formatUs(medianUs), formatUs(minUs)];
}
