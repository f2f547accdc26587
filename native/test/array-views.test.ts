import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { built } from "./addon.ts";
import { detached } from "./any-arguments.ts";
import { MEMORY_BYTES, OpenResources, viewOf } from "./open-resources.ts";

// Bytes of JavaScript in all their forms: what a view shows is what is copied, and nothing beyond it.

const native = built.native();
let open: OpenResources;
beforeEach(() => {
  open = new OpenResources("host");
});
afterEach(() => open.close());

/** The bytes that an upload of the view puts in memory; the rest stays 9. */
function uploaded(view: ArrayBufferView, numBytes = 16): number[] {
  native.fill(open.memory, 0, MEMORY_BYTES, 9, open.stream);
  native.upload(open.memory, 0, view, open.stream);
  const found = new Uint8Array(numBytes);
  native.downloadSync(open.memory, 0, found, open.stream);
  return [...found];
}

describe("a view of", () => {
  const types = Object.getOwnPropertyNames(globalThis).filter((name) =>
    /^(Big)?(U?[Ii]nt|Float)\d+(Clamped)?Array$/.test(name),
  );

  test.each(types)("%s is copied whole", (name) => {
    const Type = Reflect.get(globalThis, name) as typeof Uint8Array;
    const shown = new Type(new ArrayBuffer(64), 16, 32 / Type.BYTES_PER_ELEMENT);
    new Uint8Array(shown.buffer).set(Array.from({ length: 64 }, (_, i) => 100 + i));
    expect(uploaded(shown, 33)).toEqual([...Array.from({ length: 32 }, (_, i) => 116 + i), 9]);
  });

  test("shared memory is copied, to and fro", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(16), 4, 8).fill(3);
    expect(uploaded(shared, 9)).toEqual([3, 3, 3, 3, 3, 3, 3, 3, 9]);
    native.downloadSync(open.memory, 4, shared, open.stream);
    expect([...shared]).toEqual([3, 3, 3, 3, 9, 9, 9, 9]);
    expect(uploaded(new DataView(shared.buffer, 4), 3)).toEqual([3, 3, 3]);
  });

  test("a buffer that was transferred away has no bytes", () => {
    expect(uploaded(detached(), 2)).toEqual([9, 9]);
  });

  test.each([
    ["Uint8Array", (buffer: ArrayBuffer) => new Uint8Array(buffer, 0, 4096)],
    ["BigUint64Array", (buffer: ArrayBuffer) => new BigUint64Array(buffer, 0, 512)],
    ["DataView", (buffer: ArrayBuffer) => new DataView(buffer, 0, 4096)],
  ])("a buffer that shrank under a %s of fixed length has no bytes", (_, viewOfAll) => {
    // Node 20 has resizable buffers, its types of TypeScript do not.
    const buffer: ArrayBuffer = Reflect.construct(ArrayBuffer, [4096, { maxByteLength: 8192 }]);
    const view = viewOfAll(buffer);
    (buffer as ArrayBuffer & { resize(bytes: number): void }).resize(8);
    expect(uploaded(view, 4096).every((byte) => byte === 9)).toBe(true);
  });

  test("an object that claims to be longer is copied as long as it is", () => {
    const claims = Object.defineProperties(new Uint8Array(2), {
      byteLength: { value: 4000 },
      length: { value: 4000 },
    });
    expect(uploaded(claims, 3)).toEqual([0, 0, 9]);
  });

  test.each([[[1, 2]], [new ArrayBuffer(8)], [{ byteLength: 8 }], [null]])("%o is none", (value) => {
    const wrong = expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "source" });
    expect(() => native.upload(open.memory, 0, value as never, open.stream)).toThrow(wrong);
  });
});

describe("pinned memory", () => {
  test("is released with its own ArrayBuffer only", () => {
    const pinned = native.allocate(open.device, open.stream, 64, 256, "pinned", true);
    const buffer = native.pinnedBuffer(pinned);
    const wrong = expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "buffer" });
    for (const other of [new ArrayBuffer(64), open.buffer, undefined, new Uint8Array(buffer)]) {
      expect(() => native.releasePinned(pinned, other as never)).toThrow(wrong);
    }
    expect(buffer.byteLength).toBe(64);
    native.releasePinned(pinned, buffer);
    expect(buffer.byteLength).toBe(0);
    expect(() => native.releasePinned(pinned, buffer)).toThrow(expect.objectContaining({ code: "DISPOSED" }));
  });
});

test("bytes that no 64-bit number can count are out of bounds", () => {
  const whole = viewOf(open.memory);
  const still = { blockStrideBytes: 0, tokenStrideBytes: 0, headStrideBytes: 0 };
  const view = native.createView({
    keys: { ...whole.keys, ...still },
    values: { ...whole.values, ...still },
    numBlocks: 1,
    tokensPerBlock: 2 ** 30,
    numKvHeads: 2 ** 30,
  });
  const append = (): void => {
    native.append(view, open.otherMemory, 0, open.otherMemory, 0, null, 0, 0, 2 ** 30, open.stream);
  };
  expect(append).toThrow(expect.objectContaining({ code: "OUT_OF_BOUNDS", lengthBytes: 2 ** 64 }));
  const far = { ...whole, keys: { ...whole.keys, blockStrideBytes: 2 ** 52 }, numBlocks: 2 ** 31 - 1 };
  expect(() => native.createView(far)).toThrow(/^keys: \d{20,} bytes/);
  native.release(view);
});
