// What a cache costs the host for one decoded token of Llama-3-8B. `--device=host` for another device than the first GPU.
import { KVCache } from "@kv/cache";
import { type Device, openDevice } from "@kv/device-memory";
import { probeDriver } from "./driver-probe.ts";
import { formatUs, nanosecondsPerCall, printTable, type Timing, time } from "./figures.ts";

const LLAMA_8B = { numLayers: 32, maxContextLength: 4096, numKvHeads: 8, headDim: 128 };
const TOKEN_BYTES = LLAMA_8B.numKvHeads * LLAMA_8B.headDim * 2;
const name = process.argv.find((arg) => arg.startsWith("--device="))?.slice("--device=".length) ?? "auto";

const device = openDevice(name);
process.stdout.write(`${device.name}: ${device.properties.description}\n`);
benchToken(device);
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
  using allKeys = device.allocate(LLAMA_8B.numLayers * TOKEN_BYTES);
  using allValues = device.allocate(LLAMA_8B.numLayers * TOKEN_BYTES);
  const atOnce = time(2000, () => cache.appendAll({ keys: allKeys, values: allValues }), settle);
  const fromHost = time(
    200,
    everyLayer((layer) => cache.append(layer, { keys: hostKeys, values: hostKeys })),
    settle,
  );
  const bare = probeDriver(device.name, [])("launches", LLAMA_8B.numLayers);
  printTable(
    "Host time of Llama-3-8B's cache",
    ["", "median", "least"],
    [
      ["append one token to 32 layers, from device memory", ...timing(fromDevice)],
      ["append one token to 32 layers at once, from device memory", ...timing(atOnce)],
      [
        "32 launches of append by the bare driver",
        ...(bare === undefined ? ["", ""] : [formatUs(bare.medianUs), formatUs(bare.leastUs)]),
      ],
      ["append one token to 32 layers, from typed arrays", ...timing(fromHost)],
      ["keys(layer)", `${nanosecondsPerCall(1e6, (i) => cache.keys(i % 32)).toFixed(0)} ns`, ""],
      ["keys(layer).address", `${nanosecondsPerCall(1e6, (i) => cache.keys(i % 32).address).toFixed(0)} ns`, ""],
    ],
  );
}

function timing({ medianUs, minUs }: Timing): [string, string] {
  return [formatUs(medianUs), formatUs(minUs)];
}
