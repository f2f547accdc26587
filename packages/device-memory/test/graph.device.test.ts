import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { CaptureError, type Device, DisposedError, InvalidArgumentError, openDevice } from "../src/index.ts";

const missing = inject("deviceMissing");

describe.skipIf(missing !== "")(`Graph ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeEach(() => {
    device = openDevice(inject("device"));
  });
  afterEach(() => device.dispose());

  test("does at each replay, in order, what was captured, and nothing before", () => {
    using memory = device.allocate(1000);
    using copy = device.allocate(1000);
    using graph = device.capture(() => {
      memory.slice(0, 500).fill(7);
      copy.copyFrom(memory);
      memory.fill(9);
    });
    expect(bytesOf(copy)).toEqual(filled(1000, 0));
    for (const value of [1, 2, 3]) {
      memory.fill(value);
      graph.replay();
      expect(bytesOf(copy)).toEqual(filled(1000, value).fill(7, 0, 500));
      expect(bytesOf(memory)).toEqual(filled(1000, 9));
    }
  });

  test("takes from pinned memory what is there at the replay", () => {
    using pinned = device.allocatePinned(100);
    using memory = device.allocate(100);
    using back = device.allocatePinned(100);
    using graph = device.capture(() => {
      memory.copyFrom(pinned);
      back.copyFrom(memory);
    });
    for (const value of [5, 6]) {
      pinned.bytes.fill(value);
      graph.replay();
      device.defaultStream.synchronizeSync();
      expect(back.bytes).toEqual(filled(100, value));
    }
  });

  test("captures the stream that it is given, and says so meanwhile", () => {
    using stream = device.createStream();
    using memory = device.allocate(100);
    using graph = device.capture((captured) => {
      expect(captured).toBe(stream);
      expect(stream.isCapturing).toBe(true);
      expect(device.defaultStream.isCapturing).toBe(false);
      memory.fill(1, stream);
      memory.slice(50).fill(2);
    }, stream);
    expect(stream.isCapturing).toBe(false);
    expect(bytesOf(memory)).toEqual(filled(100, 0).fill(2, 50));
    memory.fill(3);
    device.defaultStream.synchronizeSync();
    graph.replay();
    stream.synchronizeSync();
    expect(bytesOf(memory)).toEqual(filled(100, 1));
  });

  test("replays on other streams, behind its last replay", () => {
    using other = device.createStream();
    using memory = device.allocate(8_000_000);
    using sum = device.allocate(8_000_000);
    using graph = device.capture(() => {
      memory.fill(1);
      sum.copyFrom(memory);
      memory.fill(2);
    });
    for (let round = 0; round < 10; round++) {
      graph.replay(round % 2 === 0 ? other : device.defaultStream);
    }
    other.synchronizeSync();
    device.defaultStream.synchronizeSync();
    expect(Buffer.compare(bytesOf(sum), filled(8_000_000, 1))).toBe(0);
    expect(Buffer.compare(bytesOf(memory), filled(8_000_000, 2))).toBe(0);
  });

  test("holds nothing when nothing was captured", () => {
    using graph = device.capture(() => {});
    graph.replay();
    device.defaultStream.synchronizeSync();
  });

  describe("cannot hold", () => {
    test.each<[operation: string, run: (device: Device) => unknown]>([
      ["allocate", () => device.allocate(10)],
      ["allocate", () => device.allocatePinned(10)],
      ["synchronize", () => device.defaultStream.synchronizeSync()],
      ["synchronize", () => device.defaultStream.synchronize()],
      ["record", () => device.defaultStream.record()],
      [
        "wait",
        () => {
          using event = device.createEvent();
          device.defaultStream.wait(event);
        },
      ],
      ["capture", () => device.capture(() => {})],
    ])("%s: a typed error, and the stream is as before", (operation, run) => {
      using memory = device.allocate(10);
      const captured = (): unknown =>
        device.capture(() => {
          memory.fill(1);
          run(device);
        });
      expect(captured).toThrow(expect.objectContaining({ name: "CaptureError", code: "CAPTURE_ERROR", operation }));
      expect(device.defaultStream.isCapturing).toBe(false);
      memory.slice(5).fill(2);
      expect(bytesOf(memory)).toEqual(filled(10, 0).fill(2, 5));
    });

    test("copies of JavaScript's memory, blocking or not", async () => {
      using memory = device.allocate(10);
      const bytes = new Uint8Array(10);
      const copies: [string, () => void][] = [
        ["upload", () => memory.upload(bytes)],
        ["upload", () => memory.copyFromHostSync(bytes)],
        ["copyToHost", () => memory.copyToHostSync(bytes)],
      ];
      for (const [operation, copy] of copies) {
        expect(() => device.capture(copy)).toThrow(expect.objectContaining({ operation }));
      }
      const promises: Promise<void>[] = [];
      device.capture(() => promises.push(memory.copyFromHost(bytes), memory.copyToHost(bytes))).dispose();
      for (const promise of promises) await expect(promise).rejects.toThrow(CaptureError);
    });

    test("a replay of a graph", () => {
      using memory = device.allocate(10);
      using inner = device.capture(() => memory.fill(1));
      const captured = (): unknown => device.capture(() => inner.replay());
      expect(captured).toThrow(expect.objectContaining({ operation: "replay" }));
      expect(bytesOf(memory)).toEqual(filled(10, 0));
    });

    test("what comes after an await", async () => {
      using memory = device.allocate(10);
      const work = async (): Promise<void> => {
        memory.fill(1);
        await device.defaultStream.synchronize();
      };
      const captured = (): unknown => device.capture(work as () => void);
      expect(captured).toThrow(expect.objectContaining({ name: "InvalidArgumentError", argument: "work" }));
      expect(captured).toThrow(InvalidArgumentError);
      expect(bytesOf(memory)).toEqual(filled(10, 0));
    });
  });

  test("is not made when the work throws: that error comes out, and nothing is done", () => {
    using memory = device.allocate(10);
    const own = new RangeError("its own");
    const captured = (): unknown =>
      device.capture(() => {
        memory.fill(1);
        throw own;
      });
    expect(captured).toThrow(own);
    expect(bytesOf(memory)).toEqual(filled(10, 0));
  });

  test("is made though its stream is disposed meanwhile", () => {
    const stream = device.createStream();
    using memory = device.allocate(10);
    using graph = device.capture(() => {
      memory.fill(1, stream);
      stream.dispose();
    }, stream);
    expect(() => graph.replay()).toThrow(DisposedError);
    graph.replay(device.defaultStream);
    expect(bytesOf(memory)).toEqual(filled(10, 1));
  });

  describe("disposal", () => {
    test("of memory that the graph uses makes its replays a DisposedError, and nothing is done", () => {
      using memory = device.allocate(10);
      const other = device.allocate(10);
      using graph = device.capture(() => {
        memory.fill(1);
        other.fill(1);
      });
      graph.replay();
      other.dispose();
      memory.fill(2);
      expect(() => graph.replay()).toThrow(DisposedError);
      expect(bytesOf(memory)).toEqual(filled(10, 2));
    });

    test("of memory comes after the replays that are queued", () => {
      using stream = device.createStream();
      using result = device.allocate(8_000_000);
      for (let round = 0; round < 10; round++) {
        const memory = device.allocate(8_000_000);
        using graph = device.capture(() => {
          memory.fill(3);
          result.copyFrom(memory);
        });
        graph.replay(stream);
        memory.dispose();
        // Were it freed too early, this one could take its place and be written over.
        using next = device.allocate(8_000_000);
        next.fill(4);
        stream.synchronizeSync();
        expect(Buffer.compare(bytesOf(result), filled(8_000_000, 3))).toBe(0);
      }
    });

    test("of memory while it is captured is as ever", () => {
      const memory = device.allocate(10);
      using graph = device.capture(() => {
        memory.fill(1);
        memory.dispose();
      });
      expect(() => graph.replay()).toThrow(DisposedError);
    });

    test("of the graph leaves its replays running, and ends its use", () => {
      using memory = device.allocate(8_000_000);
      const graph = device.capture(() => memory.fill(5));
      graph.replay();
      graph.dispose();
      graph.dispose();
      expect(Buffer.compare(bytesOf(memory), filled(8_000_000, 5))).toBe(0);
      expect(() => graph.replay()).toThrow(DisposedError);
    });

    test("of the device leaves graphs usable while there is memory, and makes no new ones", () => {
      using memory = device.allocate(10);
      using graph = device.capture(() => memory.fill(6));
      device.dispose();
      graph.replay();
      expect(bytesOf(memory)).toEqual(filled(10, 6));
      expect(() => device.capture(() => {})).toThrow(DisposedError);
    });
  });
});

function filled(sizeBytes: number, value: number): Uint8Array {
  return new Uint8Array(sizeBytes).fill(value);
}

function bytesOf(memory: { sizeBytes: number; copyToHostSync(target: Uint8Array): void }): Uint8Array {
  const bytes = new Uint8Array(memory.sizeBytes);
  memory.copyToHostSync(bytes);
  return bytes;
}
