import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { availableDevices, InvalidArgumentError, openDevice, transfer } from "../src/index.ts";
import { useFakeDriver } from "./fake-driver.ts";
import { randomBytes } from "./random-bytes.ts";

useFakeDriver({ devices: 2 });

const WORKER = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { openDevice } = require("@kv/device-memory");
  const device = openDevice(workerData.device);
  (async () => {
    let wrong = 0;
    for (let round = 0; round < 200; round++) {
      const memory = device.allocate(100_000);
      memory.fill(round % 256);
      const found = new Uint8Array(100_000);
      await memory.copyToHost(found);
      wrong += found.filter((byte) => byte !== round % 256).length;
      if (round % 10 !== 0) memory.dispose();   // the rest goes when the thread ends
    }
    parentPort.postMessage(wrong);
  })();
`;

test("devices are told apart by name", () => {
  expect(availableDevices()).toEqual(["host", "cuda:0", "cuda:1"]);
  using first = openDevice("cuda:0");
  using second = openDevice("cuda:1");
  const before = [first.memoryInfo().freeBytes, second.memoryInfo().freeBytes];
  using _memory = second.allocate(1_000_000);
  expect([first.memoryInfo().freeBytes, second.memoryInfo().freeBytes]).toEqual([
    before[0],
    (before[1] ?? 0) - 1_000_000,
  ]);
  expect(() => openDevice("cuda:2")).toThrow(expect.objectContaining({ code: "DEVICE_NOT_FOUND" }));
  expect(() => openDevice("tpu")).toThrow(/host, cuda:0, cuda:1/);
});

test("memory of different kinds of device is copied by transfer, and by nothing else", async () => {
  using host = openDevice("host");
  using cuda = openDevice("cuda:0");
  using first = host.allocate(9_000_000);
  using second = cuda.allocate(9_000_000);
  using third = openDevice("cuda:1").allocate(9_000_000);
  const bytes = randomBytes(9_000_000);
  first.copyFromHostSync(bytes);
  expect(() => second.copyFrom(first)).toThrow(InvalidArgumentError);
  await transfer(second, first);
  await transfer(third, second);
  const found = new Uint8Array(9_000_000);
  third.copyToHostSync(found);
  expect(Buffer.compare(found, bytes)).toBe(0);
});

test("work of a stream takes memory of its own GPU, copies those of another too", () => {
  using first = openDevice("cuda:0");
  using second = openDevice("cuda:1");
  using own = first.allocate(1000);
  using other = second.allocate(1000);
  using pinned = second.allocatePinned(1000);
  const { defaultStream } = first;
  const bytes = randomBytes(1000);
  const refusal = expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "memory" });
  expect(() => other.fill(1, defaultStream)).toThrow(refusal);
  expect(() => other.upload(bytes, defaultStream)).toThrow(refusal);
  expect(() => other.copyToHostSync(bytes, defaultStream)).toThrow(refusal);
  pinned.upload(bytes, defaultStream);
  own.copyFrom(pinned);
  other.copyFrom(own, defaultStream);
  defaultStream.synchronizeSync();
  const found = new Uint8Array(1000);
  other.copyToHostSync(found);
  expect(Buffer.compare(found, bytes)).toBe(0);
});

test("two devices and two threads work at once", async () => {
  const results = ["host", "cuda:0", "host", "cuda:1"].map(
    (device) =>
      new Promise<number>((resolve, reject) => {
        const worker = new Worker(WORKER, { eval: true, workerData: { device } });
        worker.once("message", resolve);
        worker.once("error", reject);
      }),
  );
  expect(await Promise.all(results)).toEqual([0, 0, 0, 0]);
});
