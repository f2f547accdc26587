import { type Device, type DeviceMemory, InvalidArgumentError, openDevice, type PinnedMemory } from "@kv/device-memory";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { append, gatherBlocks, packedBlockBytes, ShapeError, scatterBlocks } from "../src/index.ts";
import { isSmall, type KernelCase, kernelCases } from "./cases.ts";
import { contents } from "./near.ts";
import { appendTo, bytesOf, type Plane } from "./oracle.ts";
import { Random } from "./random.ts";
import { TestView } from "./test-view.ts";

const missing = inject("deviceMissing");

describe.skipIf(missing !== "")(`gathering blocks on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  describe.each(["device", "pinned"] as const)("%s memory", (kind) => {
    test.each(kernelCases())("holds the keys and values of each block: $name", (testCase) => {
      using source = filled(device, testCase);
      const blocks = new Random(5).shuffled(range(testCase.numBlocks)).slice(0, Math.ceil(testCase.numBlocks / 2));
      const repeated = [...blocks, blocks[0] ?? 0];
      using packed = bufferOf(device, kind, repeated.length * packedBlockBytes(source.view));
      gatherBlocks(source.view, repeated, packed);
      expect(Buffer.from(contents(packed)).equals(packedOf(source, repeated))).toBe(true);
    });

    test.each(kernelCases())("comes back into other blocks: $name", (testCase) => {
      using source = filled(device, testCase);
      using target = filled(device, testCase);
      const order = new Random(6).shuffled(range(testCase.numBlocks));
      const numBlocks = Math.ceil(testCase.numBlocks / 2);
      const [from, to] = [order.slice(0, numBlocks), order.toReversed().slice(0, numBlocks)];
      using packed = bufferOf(device, kind, numBlocks * packedBlockBytes(source.view));
      gatherBlocks(source.view, from, packed);
      scatterBlocks(target.view, Int32Array.from(to), packed);
      for (const plane of ["keys", "values"] as const) {
        const wanted = target[plane].wanted;
        to.forEach((block, i) => {
          wanted[block] = source[plane].wanted[from[i] ?? 0] ?? [];
        });
        expect(bytesOf(target[plane].read()).equals(bytesOf(wanted))).toBe(true);
      }
    });

    test.skipIf(isSmall)("takes more blocks than one launch, or one piece of staging", () => {
      const numBlocks = 70_000;
      using source = filled(device, smallCase({ numBlocks, tokensPerBlock: 4, keyDim: 64, valueDim: 64 }));
      const blocks = range(numBlocks).reverse();
      using packed = bufferOf(device, kind, numBlocks * packedBlockBytes(source.view));
      gatherBlocks(source.view, blocks, packed);
      expect(Buffer.from(contents(packed)).equals(packedOf(source, blocks))).toBe(true);
    });
  });

  test("refuses what does not fit, before anything is written", () => {
    using target = filled(device, smallCase({ numBlocks: 4 }));
    const { view } = target;
    using packed = bufferOf(device, "device", 2 * packedBlockBytes(view));
    expect(() => gatherBlocks(view, [0], packed)).toThrow(ShapeError);
    expect(() => gatherBlocks(view, [0, 4], packed)).toThrow(InvalidArgumentError);
    expect(() => gatherBlocks(view, [0, -1], packed)).toThrow(InvalidArgumentError);
    expect(() => gatherBlocks(view, [0, 2 ** 32 + 1], packed)).toThrow(InvalidArgumentError);
    expect(() => gatherBlocks(view, [0, 0.5], packed)).toThrow(InvalidArgumentError);
    expect(() => scatterBlocks(view, [1, 1], packed)).toThrow(/twice/);
    const within = target.keys.memory.slice(256, 2 * packedBlockBytes(view));
    expect(() => gatherBlocks(view, [0, 1], within)).toThrow(/overlaps the view/);
    for (const plane of [target.keys, target.values]) {
      expect(bytesOf(plane.read()).equals(bytesOf(plane.wanted))).toBe(true);
    }
  });

  test("takes no blocks", () => {
    using target = filled(device, smallCase({}));
    using packed = device.allocate(4);
    gatherBlocks(target.view, [], packed.slice(0, 0));
    scatterBlocks(target.view, [], packed.slice(0, 0));
  });
});

/** A view whose every token is written. */
function filled(device: Device, testCase: KernelCase): TestView {
  const made = new TestView(device, testCase);
  const slots = range(made.view.numSlots);
  const { keys, values, keyBytes, valueBytes } = made.tokens(slots.length);
  append(made.view, { keys, values, slots: 0 });
  keys.dispose();
  values.dispose();
  appendTo(made.keys.wanted, made.keys.shape, keyBytes, slots);
  appendTo(made.values.wanted, made.values.shape, valueBytes, slots);
  return made;
}

/** What gathering must give, by the oracle's picture of the view. */
function packedOf(source: TestView, blocks: readonly number[]): Buffer {
  const bytesOfBlock = (plane: Plane, block: number): Buffer => Buffer.concat((plane[block] ?? []).flat());
  return Buffer.concat(
    blocks.flatMap((block) => [bytesOfBlock(source.keys.wanted, block), bytesOfBlock(source.values.wanted, block)]),
  );
}

function bufferOf(device: Device, kind: "device" | "pinned", sizeBytes: number): DeviceMemory | PinnedMemory {
  const memory = kind === "device" ? device.allocate(sizeBytes) : device.allocatePinned(sizeBytes);
  memory.fill(0xff);
  return memory;
}

function smallCase(changes: Partial<KernelCase>): KernelCase {
  const shape = { numBlocks: 4, tokensPerBlock: 4, numKvHeads: 2, keyDim: 8, valueDim: 8 };
  return { name: "small", dtype: "fp16", axisOrder: "NHD", ...shape, ...changes };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
