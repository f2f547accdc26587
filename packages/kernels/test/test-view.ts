import { randomBytes } from "node:crypto";
import type { Device, DeviceMemory } from "@kv/device-memory";
import { KvView, type PlaneLayout } from "../src/index.ts";
import { type KernelCase, packedStrides } from "./cases.ts";
import { type Plane, type PlaneShape, POISON_BYTE, poisonedPlane } from "./oracle.ts";

// Bytes around each plane that no kernel may touch.
const GUARD_BYTES = 256;
const GUARD_VALUE = 0xc5;

/** Tokens on the device, and the same bytes beside it. */
export interface TestTokens {
  readonly keys: DeviceMemory;
  readonly values: DeviceMemory;
  readonly keyBytes: Uint8Array;
  readonly valueBytes: Uint8Array;
}

/** One of the two planes of a view on a device, with guards around it and the oracle's picture of it. */
export class TestPlane implements Disposable {
  readonly memory: DeviceMemory;
  readonly shape: PlaneShape;
  readonly wanted: Plane;
  readonly layout: PlaneLayout;

  constructor(device: Device, testCase: KernelCase, headDim: number) {
    const { headBytes, sizeBytes, ...strides } = packedStrides(testCase, headDim);
    this.memory = device.allocate(sizeBytes + 2 * GUARD_BYTES);
    this.memory.fill(GUARD_VALUE);
    const memory = this.memory.slice(GUARD_BYTES, sizeBytes);
    memory.fill(POISON_BYTE);
    this.shape = { ...testCase, headBytes };
    this.wanted = poisonedPlane(this.shape);
    this.layout = { ...strides, memory, headDim };
  }

  /** The plane as it is on the device, with the axes in the oracle's order. Throws when a guard was touched. */
  read(): Plane {
    const bytes = new Uint8Array(this.memory.sizeBytes);
    this.memory.copyToHostSync(bytes);
    const guards = [...bytes.subarray(0, GUARD_BYTES), ...bytes.subarray(-GUARD_BYTES)];
    if (guards.some((byte) => byte !== GUARD_VALUE)) throw new Error("written outside the plane");
    const { blockStrideBytes, tokenStrideBytes, headStrideBytes } = this.layout;
    const plane = poisonedPlane(this.shape);
    plane.forEach((tokens, block) => {
      tokens.forEach((heads, token) => {
        heads.forEach((head, h) => {
          const start = GUARD_BYTES + block * blockStrideBytes + token * tokenStrideBytes + h * headStrideBytes;
          head.set(bytes.subarray(start, start + head.byteLength));
        });
      });
    });
    return plane;
  }

  [Symbol.dispose](): void {
    this.memory.dispose();
  }
}

/** A view on a device beside the oracle's picture of the same. */
export class TestView implements Disposable {
  readonly device: Device;
  readonly keys: TestPlane;
  readonly values: TestPlane;
  readonly view: KvView;

  constructor(device: Device, testCase: KernelCase) {
    this.device = device;
    this.keys = new TestPlane(device, testCase, testCase.keyDim);
    this.values = new TestPlane(device, testCase, testCase.valueDim);
    this.view = new KvView({ ...testCase, keys: this.keys.layout, values: this.values.layout });
  }

  /** New tokens of random bits, on the device and beside it. */
  tokens(numTokens: number): TestTokens {
    const keys = new Uint8Array(randomBytes(numTokens * this.view.keyBytesPerToken));
    const values = new Uint8Array(randomBytes(numTokens * this.view.valueBytesPerToken));
    return { keys: this.upload(keys), values: this.upload(values), keyBytes: keys, valueBytes: values };
  }

  upload(bytes: Uint8Array | Int32Array): DeviceMemory {
    const memory = this.device.allocate(bytes.byteLength);
    memory.upload(bytes);
    return memory;
  }

  [Symbol.dispose](): void {
    this.keys[Symbol.dispose]();
    this.values[Symbol.dispose]();
  }
}
