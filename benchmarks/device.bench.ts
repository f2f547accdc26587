// What memory costs through TypeScript: allocation with zeroing, native calls, copies. `--device=host` for another device
// than the first GPU. Beside each figure the limit measured in the same run: the bare driver, or the device's fill rate.
import { type Device, type DeviceMemory, openDevice } from "@kv/device-memory";
import { type MemoryHandle, native } from "@kv/native";
import { type DriverFigures, probeDriver } from "./driver-probe.ts";
import {
  formatUs,
  gigabytesPerSecond,
  nanosecondsPerCall,
  printTable,
  type Timing,
  time,
  timeAsync,
} from "./figures.ts";

const MEBIBYTE = 1024 ** 2;
const FIRST_BYTES = 24 * MEBIBYTE;
const MORE_BYTES = [512 * MEBIBYTE, 2560 * MEBIBYTE, 40 * 1024 * MEBIBYTE];
const COPY_BYTES = 256 * MEBIBYTE;
const name = process.argv.find((arg) => arg.startsWith("--device="))?.slice("--device=".length) ?? "auto";

// Before the device is opened, so that both find it as they would in a fresh process.
const driver = probeDriver(name, [FIRST_BYTES, ...MORE_BYTES]);
const start = process.hrtime.bigint();
const device = openDevice(name, { poolReleaseThresholdBytes: 2 ** 40 });
const openedUs = Number(process.hrtime.bigint() - start) / 1000;
const firstUse = time(0, () => {
  using _memory = device.allocate(FIRST_BYTES);
  device.defaultStream.synchronizeSync();
});
const { description, driverVersion } = device.properties;
const isGpu = device.kind === "cuda";
process.stdout.write(
  `${device.name}: ${description}, driver for CUDA ${driverVersion / 1000}, Node ${process.version}\n` +
    `first use of the device: opened in ${formatUs(openedUs)}, 24 MiB after ${formatUs(openedUs + firstUse.firstUs)}; ` +
    `by the bare driver after ${limit(driver("first use", FIRST_BYTES)?.medianUs)}\n`,
);

if (isGpu) warmUp(device);
benchAllocation(device, driver);
benchCalls(device);
await benchCopies(device, driver);
device.dispose();

function benchAllocation(device: Device, driver: DriverFigures): void {
  const fillRate = measureFillRate(device);
  const mostBytes = isGpu ? device.memoryInfo().freeBytes * 0.9 : 4096 * MEBIBYTE;
  const sizesBytes = [FIRST_BYTES, ...MORE_BYTES].filter((bytes) => bytes < mostBytes);
  const rows = sizesBytes.map((bytes) => {
    let memory: DeviceMemory | undefined;
    const timing = time(
      isGpu ? 30 : 3,
      () => {
        memory = device.allocate(bytes);
        device.defaultStream.synchronizeSync();
      },
      () => memory?.dispose(),
    );
    return [
      `${bytes / MEBIBYTE} MiB`,
      formatUs(timing.firstUs),
      formatUs(timing.medianUs),
      formatUs(timing.minUs),
      limit(driver("allocate and zero", bytes)?.medianUs),
      limit(driver("allocate and zero", bytes)?.leastUs),
      formatUs(bytes / fillRate / 1000),
      `${gigabytesPerSecond(bytes, timing.medianUs).toFixed(0)} GB/s`,
    ];
  });
  const head = ["allocate and zero", "first", "median", "least", "bare driver", "its least", "at fill rate", "rate"];
  printTable(`Allocation from the pool, synchronised; the device fills ${fillRate.toFixed(0)} GB/s`, head, rows);
}

/** The clocks of a GPU that was idle rise over some tenths of a second of work. */
function warmUp(device: Device): void {
  using memory = device.allocate(1024 * MEBIBYTE);
  const begin = performance.now();
  while (performance.now() - begin < 500) {
    memory.zero();
    device.defaultStream.synchronizeSync();
  }
}

function measureFillRate(device: Device): number {
  using memory = device.allocate(1024 * MEBIBYTE);
  const timing = time(isGpu ? 20 : 3, () => {
    memory.fill(1);
    device.defaultStream.synchronizeSync();
  });
  return gigabytesPerSecond(memory.sizeBytes, timing.minUs);
}

function benchCalls(device: Device): void {
  using memory = device.allocate(4096);
  const stream = device.defaultStream;
  stream.synchronizeSync();
  const { handle } = memory;
  const released = handleOfDisposed(device);
  const rows = [
    ["call that does nothing", nanosecondsPerCall(1e6, () => native().release(released))],
    ["call that returns a text", nanosecondsPerCall(1e6, () => native().kernelSource())],
    ["call that asks a stream", nanosecondsPerCall(1e6, () => stream.isIdle)],
    ["call that returns an address", nanosecondsPerCall(1e6, () => native().addressOf(handle))],
    ["a slice", nanosecondsPerCall(1e6, () => memory.slice(1024, 1024))],
    ["allocate and dispose 4 KiB", nanosecondsPerCall(1e4, () => device.allocate(4096, { zero: false }).dispose())],
  ] as const;
  stream.synchronizeSync();
  printTable(
    "Calls",
    ["", "ns each"],
    rows.map(([what, ns]) => [what, ns.toFixed(0)]),
  );
}

function handleOfDisposed(device: Device): MemoryHandle {
  using memory = device.allocate(4096);
  return memory.handle;
}

async function benchCopies(device: Device, driver: DriverFigures): Promise<void> {
  using memory = device.allocate(COPY_BYTES);
  using other = device.allocate(COPY_BYTES);
  using pinned = device.allocatePinned(COPY_BYTES);
  const pageable = new Uint8Array(COPY_BYTES).fill(1);
  const done = (queue: () => void) => () => {
    queue();
    device.defaultStream.synchronizeSync();
  };
  const rows: [string, Timing, string][] = [
    [
      "pinned to device",
      time(
        20,
        done(() => memory.copyFrom(pinned)),
      ),
      "pinned to device",
    ],
    [
      "device to pinned",
      time(
        20,
        done(() => pinned.copyFrom(memory)),
      ),
      "device to pinned",
    ],
    [
      "device to device",
      time(
        20,
        done(() => other.copyFrom(memory)),
      ),
      "device to device",
    ],
    ["copyFromHostSync", time(20, () => memory.copyFromHostSync(pageable)), "pageable to device"],
    ["copyToHostSync", time(20, () => memory.copyToHostSync(pageable)), "device to pageable"],
    ["copyFromHost", await timeAsync(20, () => memory.copyFromHost(pageable)), "pageable to device"],
    ["copyToHost", await timeAsync(20, () => memory.copyToHost(pageable)), "device to pageable"],
  ];
  const rate = (microseconds: number) => `${gigabytesPerSecond(COPY_BYTES, microseconds).toFixed(1)} GB/s`;
  // Others on the host take of its memory's bandwidth at times; the best of either is what the machine can do.
  printTable(
    "Copies of 256 MiB",
    ["", "median", "best", "bare driver's best", "of the bare driver"],
    rows.map(([what, { medianUs, minUs }, peer]) => {
      const bareUs = driver(peer, COPY_BYTES)?.leastUs;
      const share = bareUs === undefined ? "-" : `${((100 * bareUs) / minUs).toFixed(0)} %`;
      return [what, rate(medianUs), rate(minUs), bareUs === undefined ? "-" : rate(bareUs), share];
    }),
  );
}

function limit(microseconds: number | undefined): string {
  return microseconds === undefined ? "-" : formatUs(microseconds);
}
