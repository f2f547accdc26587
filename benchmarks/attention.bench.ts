// Decode and prefill attention over a cache in blocks, bf16, through the TypeScript API, on the device's clock. Beside them:
// what a kernel that only reads reaches in the same process, PyTorch's attention on the same rows where it is installed, and
// on the host the plain reference. `--device=host` for another device than the first GPU.
import { openDevice } from "@kv/device-memory";
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
import { copyRate, readRate } from "./ceilings.ts";
import { DeviceClock } from "./device-clock.ts";
import { formatUs, gigabytesPerSecond, percent, printTable } from "./figures.ts";
import { torchFigures } from "./torch-peers.ts";

const name = process.argv.find((arg) => arg.startsWith("--device="))?.slice("--device=".length) ?? "auto";

const device = openDevice(name);
const clock = new DeviceClock(device);
const isGpu = device.kind === "cuda";
process.stdout.write(`${device.name}: ${device.properties.description}\n`);
const decodeRows = isGpu ? DECODE_ROWS : SMALL_DECODE_ROWS;
const prefillRows = isGpu ? PREFILL_ROWS : SMALL_PREFILL_ROWS;
const torch = torchFigures(isGpu ? [...decodeRows, ...prefillRows] : []);
const [reads, copies] = [readRate(device, clock), copyRate(device, clock)];
process.stdout.write(
  `a kernel that only reads: ${reads.toFixed(1)} GB/s; a copy reads and writes ${copies.toFixed(1)} GB/s\n`,
);
benchDecode();
if (!isGpu) benchReference();
benchPrefill();
clock[Symbol.dispose]();
device.dispose();

function benchDecode(): void {
  for (const tokensPerBlock of [16, 64]) {
    const rows = decodeRows.map((row) => {
      using cache = openAttentionCache(device, row, tokensPerBlock);
      const us = clock.microsecondsOf((i) => cache.decode(i));
      const rate = gigabytesPerSecond(bytesOf(row), us);
      return [row.name, formatUs(us), `${rate.toFixed(1)} GB/s`, percent(rate / reads), ...peers(row, us)];
    });
    printTable(
      `Decode attention, blocks of ${tokensPerBlock}`,
      ["batch x tokens", "median", "read", "of only reading", "torch's best", "its time over ours"],
      rows,
    );
  }
}

/** What the vectors and the threads are worth. */
function benchReference(): void {
  const rows = decodeRows.map((row) => {
    using cache = openAttentionCache(device, row, 16);
    const us = clock.microsecondsOf((i) => cache.decode(i));
    const referenceUs = clock.microsecondsOf((i) => cache.decode(i, "reference"), 3);
    return [row.name, formatUs(us), formatUs(referenceUs), (referenceUs / us).toFixed(1)];
  });
  printTable("Decode attention beside the plain reference", ["batch x tokens", "median", "reference", "times"], rows);
}

function benchPrefill(): void {
  const rows = prefillRows.map((row) => {
    using cache = openAttentionCache(device, row, 16);
    const us = clock.microsecondsOf(() => cache.prefill());
    return [
      row.name,
      formatUs(us),
      `${(operationsOf(row) / us / 1e6).toFixed(isGpu ? 1 : 3)} TFLOP/s`,
      ...peers(row, us),
    ];
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
