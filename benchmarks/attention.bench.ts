// Decode and prefill attention over a cache in blocks, bf16, through the TypeScript API, on the device's clock. Beside them:
// the rate of plain copies in the same process, and PyTorch's attention on the same rows where it is installed.
// `--device=host` for another device than the first GPU.
import { type Device, openDevice } from "@kv/device-memory";
import { openAttentionCache } from "./attention-cache.ts";
import {
  type AttentionRow,
  bytesOf,
  DECODE_ROWS,
  operationsOf,
  PREFILL_ROWS,
  SMALL_DECODE_ROWS,
  SMALL_PREFILL_ROWS,
} from "./attention-rows.ts";
import { formatUs, gigabytesPerSecond, printTable, time } from "./figures.ts";
import { torchFigures } from "./torch-peers.ts";

const MEBIBYTE = 1024 ** 2;
const name = process.argv.find((arg) => arg.startsWith("--device="))?.slice("--device=".length) ?? "auto";

const device = openDevice(name);
const isGpu = device.kind === "cuda";
process.stdout.write(`${device.name}: ${device.properties.description}\n`);
const copyRate = measureCopyRate();
const decodeRows = isGpu ? DECODE_ROWS : SMALL_DECODE_ROWS;
const prefillRows = isGpu ? PREFILL_ROWS : SMALL_PREFILL_ROWS;
const torch = torchFigures(isGpu ? [...decodeRows, ...prefillRows] : []);
benchDecode();
benchPrefill();
device.dispose();

function benchDecode(): void {
  for (const tokensPerBlock of [16, 64]) {
    const rows = decodeRows.map((row) => {
      using cache = openAttentionCache(device, row, tokensPerBlock);
      const us = microsecondsOf(device, (i) => cache.decode(i));
      const rate = gigabytesPerSecond(bytesOf(row), us);
      return [row.name, formatUs(us), `${rate.toFixed(0)} GB/s`, percent(rate / copyRate), ...peers(row, us)];
    });
    const title = `Decode attention, blocks of ${tokensPerBlock}; plain copies read and write ${copyRate.toFixed(0)} GB/s`;
    printTable(title, ["batch x tokens", "median", "read", "of copies", "torch's best", "its time over ours"], rows);
  }
}

function benchPrefill(): void {
  const rows = prefillRows.map((row) => {
    using cache = openAttentionCache(device, row, 16);
    const us = microsecondsOf(device, () => cache.prefill());
    return [row.name, formatUs(us), `${(operationsOf(row) / us / 1e6).toFixed(1)} TFLOP/s`, ...peers(row, us)];
  });
  printTable(
    "Prefill attention, causal, blocks of 16",
    ["new tokens", "median", "", "torch's best", "its time over ours"],
    rows,
  );
}

function peers(row: AttentionRow, us: number): string[] {
  const found = torch.filter((each) => each.name === row.name && each.newTokens === row.newTokens);
  const best = found.reduce<(typeof found)[number] | undefined>((a, b) => (a && a.us < b.us ? a : b), undefined);
  return best === undefined ? ["", ""] : [`${formatUs(best.us)} (${best.backend})`, (best.us / us).toFixed(2)];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** The median of one call on the device's clock, of ten groups that are queued whole. */
function microsecondsOf(device: Device, queue: (call: number) => void): number {
  const stream = device.defaultStream;
  const perGroup = isGpu ? 10 : 1;
  using start = device.createEvent();
  using end = device.createEvent();
  const group = (first: number): number => {
    stream.record(start);
    for (let i = 0; i < perGroup; i++) queue(first + i);
    stream.record(end);
    stream.synchronizeSync();
    return (end.elapsedMsSince(start) * 1000) / perGroup;
  };
  group(0);
  const timesUs = Array.from({ length: 10 }, (_, i) => group(i * perGroup)).sort((a, b) => a - b);
  return timesUs[5] as number;
}

function measureCopyRate(): number {
  const bytes = (isGpu ? 1024 : 256) * MEBIBYTE;
  using from = device.allocate(bytes);
  using to = device.allocate(bytes);
  const { medianUs } = time(20, () => {
    to.copyFrom(from);
    device.defaultStream.synchronizeSync();
  });
  return gigabytesPerSecond(2 * bytes, medianUs);
}
