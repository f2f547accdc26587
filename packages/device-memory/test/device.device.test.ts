import { VramTracker } from "@kv/vram-tracker";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import {
  type Device,
  DisposedError,
  InvalidArgumentError,
  OutOfBoundsError,
  OutOfMemoryError,
  openDevice,
  verifyVramResidency,
} from "../src/index.ts";
import { randomBytes } from "./random-bytes.ts";

const MEBIBYTE = 1024 * 1024;
// Under compute-sanitizer every call takes a hundred times as long.
const NUM_CYCLES = process.env["KV_TEST_SMALL"] === "1" ? 1000 : 1_000_000;
const missing = inject("deviceMissing");

describe.skipIf(missing !== "")(`Device ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeEach(() => {
    device = openDevice(inject("device"));
  });
  afterEach(() => device.dispose());

  describe("allocate", () => {
    test.each([1, 7, 256, 4096, 5 * MEBIBYTE + 3])("gives %i bytes of zeroes", (sizeBytes) => {
      using memory = device.allocate(sizeBytes);
      expect(memory.sizeBytes).toBe(sizeBytes);
      expect(Buffer.compare(readBytes(memory), new Uint8Array(sizeBytes))).toBe(0);
    });

    test.each([1, 256, 512, 4096, 2 * MEBIBYTE])("aligns to %i", (alignment) => {
      using memory = device.allocate(1000, { alignment });
      expect(memory.address % BigInt(Math.max(alignment, 256))).toBe(0n);
      expect(memory.sizeBytes).toBe(1000);
    });

    test.each([0, 3, 255, -256, 1.5, Number.NaN])("refuses alignment %d", (alignment) => {
      expect(() => device.allocate(16, { alignment })).toThrow(InvalidArgumentError);
    });

    test.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses %d bytes", (sizeBytes) => {
      expect(() => device.allocate(sizeBytes)).toThrow(InvalidArgumentError);
    });

    test("takes plain memory too", () => {
      using memory = device.allocate(MEBIBYTE, { kind: "plain" });
      expect(Buffer.compare(readBytes(memory), new Uint8Array(MEBIBYTE))).toBe(0);
    });

    test("out of memory names wanted, free and total, and changes nothing", () => {
      const tracker = new VramTracker();
      const wantedBytes = device.memoryInfo().totalBytes * 2;
      const error = errorOf(() => device.allocate(wantedBytes, { tracker }), OutOfMemoryError);
      expect(error).toMatchObject({ code: "OUT_OF_MEMORY", device: device.name, wantedBytes });
      expect(error.totalBytes).toBe(device.memoryInfo().totalBytes);
      expect(error.freeBytes).toBeGreaterThan(0);
      expect(error.message).toContain(String(wantedBytes));
      expect(tracker.allocationCount).toBe(0);
    });
  });

  describe("tracker", () => {
    test("records what is allocated until it is disposed", () => {
      const tracker = new VramTracker();
      const memory = device.allocate(1000, { tracker, purpose: "kv_cache", owner: "a", description: "b" });
      expect(tracker.totalUsage).toBe(1000);
      expect(tracker.usageByPurpose("kv_cache", device.name)).toBe(1000);
      memory.dispose();
      memory.dispose();
      expect(tracker.totalUsage).toBe(0);
    });

    test("a budget that refuses leaves nothing allocated", () => {
      const tracker = new VramTracker();
      tracker.setBudget({ device: device.name, allowedBytes: 1000 });
      expect(() => device.allocate(1001, { tracker })).toThrow(expect.objectContaining({ code: "BUDGET_EXCEEDED" }));
      expect(tracker.allocationCount).toBe(0);
      device.allocate(1000, { tracker }).dispose();
    });
  });

  describe("copies", () => {
    const SIZES = [1, 3, 65_537, 4 * MEBIBYTE - 1, 4 * MEBIBYTE, 17 * MEBIBYTE + 5];

    test.each(SIZES)("%i bytes there and back, blocking", (sizeBytes) => {
      using memory = device.allocate(sizeBytes);
      const bytes = randomBytes(sizeBytes);
      memory.copyFromHostSync(bytes);
      expect(Buffer.compare(readBytes(memory), bytes)).toBe(0);
    });

    test.each(SIZES)("%i bytes there and back, as promises", async (sizeBytes) => {
      using memory = device.allocate(sizeBytes);
      const bytes = randomBytes(sizeBytes);
      await memory.copyFromHost(bytes);
      const found = new Uint8Array(sizeBytes);
      await memory.copyToHost(found);
      expect(Buffer.compare(found, bytes)).toBe(0);
    });

    test("keep to their slice", () => {
      using memory = device.allocate(64);
      const slice = memory.slice(16, 32).slice(8, 8);
      slice.copyFromHostSync(new Uint8Array(8).fill(5));
      const wanted = new Uint8Array(64).fill(5, 24, 32);
      expect(readBytes(memory)).toEqual(wanted);
      expect(slice.address - memory.address).toBe(24n);
    });

    test("go between memory of the device, pinned or not", () => {
      using first = device.allocate(1000);
      using second = device.allocate(1000);
      using pinned = device.allocatePinned(1000);
      const bytes = randomBytes(1000);
      pinned.bytes.set(bytes);
      first.copyFrom(pinned);
      second.copyFrom(first);
      device.defaultStream.synchronizeSync();
      pinned.bytes.fill(0);
      pinned.copyFrom(second);
      device.defaultStream.synchronizeSync();
      expect(pinned.bytes).toEqual(bytes);
    });

    test("take the bytes of an upload at once", () => {
      using memory = device.allocate(100_000);
      const bytes = randomBytes(100_000);
      const source = bytes.slice();
      memory.upload(source);
      source.fill(0);
      expect(Buffer.compare(readBytes(memory), bytes)).toBe(0);
    });

    test("refuse unequal sizes, overlaps and bytes outside", () => {
      using memory = device.allocate(100);
      expect(() => memory.copyFromHostSync(new Uint8Array(99))).toThrow(InvalidArgumentError);
      expect(() => memory.copyToHostSync(new Uint8Array(101))).toThrow(InvalidArgumentError);
      expect(() => memory.slice(0, 60).copyFrom(memory.slice(40, 60))).toThrow(InvalidArgumentError);
      expect(() => memory.slice(50, 51)).toThrow(OutOfBoundsError);
      expect(() => memory.slice(-1, 2)).toThrow(OutOfBoundsError);
      expect(() => memory.slice(0.5, 2)).toThrow(OutOfBoundsError);
      expect(readBytes(memory)).toEqual(new Uint8Array(100));
    });

    test("an array that is transferred away meanwhile is an error, not a crash", async () => {
      using memory = device.allocate(64 * MEBIBYTE);
      const source = new Uint8Array(64 * MEBIBYTE);
      const copied = memory.copyFromHost(source);
      structuredClone(source.buffer, { transfer: [source.buffer] });
      await expect(copied).rejects.toThrow(InvalidArgumentError);
    });

    test("leave the event loop free", async () => {
      using memory = device.allocate(256 * MEBIBYTE);
      let numTurns = 0;
      const timer = setInterval(() => numTurns++, 1);
      await memory.copyFromHost(new Uint8Array(256 * MEBIBYTE));
      clearInterval(timer);
      expect(numTurns).toBeGreaterThan(3);
    });
  });

  test("fill sets every byte of a slice", () => {
    using memory = device.allocate(1000);
    memory.fill(7);
    memory.slice(10, 5).zero();
    expect(readBytes(memory)).toEqual(new Uint8Array(1000).fill(7).fill(0, 10, 15));
    expect(() => memory.fill(256)).toThrow(InvalidArgumentError);
    expect(() => memory.fill(-1)).toThrow(InvalidArgumentError);
  });

  test("the driver says that the memory is where it should be", () => {
    using memory = device.allocate(3 * MEBIBYTE);
    device.defaultStream.synchronizeSync();
    expect(verifyVramResidency(memory)).toEqual({
      isResident: true,
      device: device.name,
      address: memory.address,
      sizeBytes: 3 * MEBIBYTE,
    });
  });

  describe("streams", () => {
    test("see memory allocated and zeroed on another", () => {
      using allocating = device.createStream();
      using writing = device.createStream();
      for (let i = 0; i < 50; i++) {
        using memory = device.allocate(4 * MEBIBYTE, { stream: allocating });
        memory.slice(0, MEBIBYTE).fill(9, writing);
        const found = new Uint8Array(4 * MEBIBYTE);
        memory.copyToHostSync(found, writing);
        expect(Buffer.compare(found, new Uint8Array(4 * MEBIBYTE).fill(9, 0, MEBIBYTE))).toBe(0);
      }
    });

    test("wait for events of each other", () => {
      using first = device.createStream();
      using second = device.createStream();
      using memory = device.allocate(32 * MEBIBYTE);
      for (let value = 1; value <= 20; value++) {
        memory.fill(value, first);
        using written = first.record();
        second.wait(written);
        const found = new Uint8Array(32);
        memory.slice(31 * MEBIBYTE, 32).copyToHostSync(found, second);
        expect(found).toEqual(new Uint8Array(32).fill(value));
      }
    });

    test("time their work with events", async () => {
      using memory = device.allocate(64 * MEBIBYTE);
      using start = device.defaultStream.record();
      memory.fill(1);
      using end = device.defaultStream.record();
      await device.defaultStream.synchronize();
      expect(end.isDone).toBe(true);
      expect(end.elapsedMsSince(start)).toBeGreaterThan(0);
      using unrecorded = device.createEvent();
      expect(() => unrecorded.elapsedMsSince(start)).toThrow();
    });

    test("settle many promises in order", async () => {
      using memory = device.allocate(MEBIBYTE);
      const order: number[] = [];
      await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          memory.fill(i);
          await device.defaultStream.synchronize();
          order.push(i);
        }),
      );
      expect(order).toEqual(Array.from({ length: 100 }, (_, i) => i));
    });
  });

  describe("disposal", () => {
    test("waits for work in flight on every stream that used the memory", () => {
      using first = device.createStream();
      using second = device.createStream();
      for (let round = 0; round < 20; round++) {
        const memory = device.allocate(32 * MEBIBYTE, { stream: first });
        memory.fill(1, first);
        memory.fill(2, second);
        memory.fill(3, device.defaultStream);
        memory.dispose();
        // Were it freed too early, this one could take its place and be written over.
        using next = device.allocate(32 * MEBIBYTE);
        const found = new Uint8Array(32 * MEBIBYTE);
        next.copyToHostSync(found);
        expect(Buffer.compare(found, new Uint8Array(32 * MEBIBYTE))).toBe(0);
      }
    });

    test("of a stream leaves its work running", () => {
      using memory = device.allocate(64 * MEBIBYTE);
      const stream = device.createStream();
      memory.fill(4, stream);
      using done = stream.record();
      stream.dispose();
      stream.dispose();
      done.synchronizeSync();
      expect(readBytes(memory.slice(64 * MEBIBYTE - 3))).toEqual(new Uint8Array(3).fill(4));
      expect(() => stream.isIdle).toThrow(DisposedError);
    });

    test("of the device first leaves its memory usable", () => {
      const memory = device.allocate(100);
      device.dispose();
      memory.fill(6);
      expect(readBytes(memory)).toEqual(new Uint8Array(100).fill(6));
      expect(() => device.allocate(1)).toThrow(DisposedError);
      expect(() => device.memoryInfo()).toThrow(DisposedError);
      memory.dispose();
    });

    test("makes every later use a DisposedError", async () => {
      const memory = device.allocate(16);
      const slice = memory.slice(0, 8);
      memory.release();
      expect(memory.isAllocated).toBe(false);
      expect(slice.isAllocated).toBe(false);
      expect(() => memory.address).toThrow(DisposedError);
      expect(() => memory.zero()).toThrow(DisposedError);
      expect(() => slice.fill(1)).toThrow(DisposedError);
      expect(() => memory.copyToHostSync(new Uint8Array(16))).toThrow(DisposedError);
      expect(() => memory.copyFromHostSync(new Uint8Array(16))).toThrow(DisposedError);
      await expect(memory.copyFromHost(new Uint8Array(16))).rejects.toThrow(DisposedError);
      await expect(memory.copyToHost(new Uint8Array(16))).rejects.toThrow(DisposedError);
    });

    test("empties the array over pinned memory", () => {
      const pinned = device.allocatePinned(4096);
      const { bytes } = pinned;
      expect(bytes).toEqual(new Uint8Array(4096));
      pinned.dispose();
      expect(bytes.byteLength).toBe(0);
      expect(pinned.bytes.byteLength).toBe(0);
    });

    test("gives device memory back to the driver", () => {
      device.allocate(1).dispose();
      device.defaultStream.synchronizeSync();
      const before = heldBytes(device);
      const memory = device.allocate(512 * MEBIBYTE);
      device.defaultStream.synchronizeSync();
      expect(heldBytes(device) - before).toBeGreaterThan(400 * MEBIBYTE);
      memory.dispose();
      device.defaultStream.synchronizeSync();
      device.trimPool();
      expect(heldBytes(device) - before).toBeLessThan(100 * MEBIBYTE);
    });
  });

  test(`${NUM_CYCLES} allocations hold memory flat`, () => {
    const cycles = (): void => {
      for (let i = 0; i < NUM_CYCLES; i++) device.allocate(4096, { zero: false }).dispose();
      device.defaultStream.synchronizeSync();
    };
    // V8 grows its young generation to up to 200 MiB for garbage made at this rate, and keeps it: a leak grows on.
    cycles();
    const before = process.memoryUsage.rss();
    const freeBefore = device.memoryInfo().freeBytes;
    cycles();
    expect(process.memoryUsage.rss() - before).toBeLessThan(32 * MEBIBYTE);
    if (device.kind === "cuda") expect(freeBefore - device.memoryInfo().freeBytes).toBeLessThan(64 * MEBIBYTE);
  });
});

/** Bytes that this process holds on the host, or all processes on a GPU. */
function heldBytes(device: Device): number {
  if (device.kind === "host") return process.memoryUsage.rss();
  const { totalBytes, freeBytes } = device.memoryInfo();
  return totalBytes - freeBytes;
}

function readBytes(memory: { sizeBytes: number; copyToHostSync(target: Uint8Array): void }): Uint8Array {
  const bytes = new Uint8Array(memory.sizeBytes);
  memory.copyToHostSync(bytes);
  return bytes;
}

function errorOf<T extends Error>(action: () => unknown, type: new (...args: never[]) => T): T {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(type);
    return error as T;
  }
  throw new Error("expected an error");
}
