import { type Device, openDevice } from "@kv/device-memory";
import { native } from "@kv/native";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { contents } from "./near.ts";

const missing = inject("deviceMissing");
// Of several thread blocks, and of two pieces that threads of the host take; the last of them not full.
const NUM_WORDS = 17 * 16_384 + 36;
const WORD = 0xdeadbeef;

describe.skipIf(missing !== "")(`reading memory on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  /** Whether the word is found in all but the first and last vector, with one word set to it. */
  const isFoundAt = (place: number | undefined): boolean => {
    const words = new Uint32Array(NUM_WORDS);
    if (place !== undefined) words[place] = WORD;
    using memory = device.allocate(4 * NUM_WORDS);
    memory.upload(words);
    using found = device.allocate(4);
    const { handle } = device.defaultStream;
    native().readMemory(memory.handle, 16, 4 * NUM_WORDS - 32, WORD, found.handle, 0, handle);
    return contents(found)[0] === 1;
  };

  test("finds a word wherever it is, and no other", () => {
    expect(isFoundAt(undefined)).toBe(false);
    const within = [4, 5, 6, 7, 16_387, 16_388, 262_147, 262_148, NUM_WORDS - 6, NUM_WORDS - 5];
    expect(within.filter((place) => !isFoundAt(place))).toEqual([]);
    expect([0, 3, NUM_WORDS - 4, NUM_WORDS - 1].filter(isFoundAt)).toEqual([]);
  });

  test("refuses what is no whole number of 16 bytes", () => {
    using memory = device.allocate(64);
    const read = (offsetBytes: number, lengthBytes: number): void =>
      native().readMemory(memory.handle, offsetBytes, lengthBytes, 0, memory.handle, 0, device.defaultStream.handle);
    expect(() => read(0, 24)).toThrow(/16 bytes/);
    expect(() => read(4, 16)).toThrow(/16 bytes/);
    expect(() => read(16, 64)).toThrow(expect.objectContaining({ code: "OUT_OF_BOUNDS" }));
  });
});
