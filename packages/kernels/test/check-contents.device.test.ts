import { type Device, openDevice } from "@kv/device-memory";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from "vitest";
import {
  type AppendInput,
  append,
  appendAndAttend,
  ContentsError,
  checkContents,
  type DecodeAttentionInput,
  decodeAttention,
  prefillAttention,
} from "../src/index.ts";
import { AttentionBatch } from "./attention-batch.ts";
import { attentionCase } from "./attention-cases.ts";
import { contents } from "./near.ts";

const missing = inject("deviceMissing");

describe.skipIf(missing !== "")(`checks of contents on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  beforeEach(() => checkContents(true));
  afterEach(() => checkContents(false));
  afterAll(() => device.dispose());

  test("name the slot that the view has not, or that comes twice", () => {
    using batch = new AttentionBatch(device, attentionCase({ lengths: [20] }));
    const { numSlots } = batch.view;
    expect(refused(() => append(batch.view, tokens(batch, [0, -1, numSlots])))).toMatchObject({
      argument: "slots",
      index: 2,
      value: numSlots,
    });
    expect(refused(() => append(batch.view, tokens(batch, [0, -2])))).toMatchObject({ index: 1, value: -2 });
    expect(refused(() => append(batch.view, tokens(batch, [3, -1, -1, 3])))).toMatchObject({ index: 3, value: 3 });
    append(batch.view, tokens(batch, [0, -1, 1]));
  });

  test("name the position that the table has not, of tokens that have a slot", () => {
    using batch = new AttentionBatch(device, attentionCase({ lengths: [20] }));
    const cosinesAndSines = batch.allocate(10 * batch.view.keyDim * 4);
    const at = (positions: number[]): AppendInput => ({
      ...tokens(batch, [0, -1, 1]),
      rotary: {
        embedding: { style: "half-split", cosinesAndSines },
        positions: batch.upload(Int32Array.from(positions)),
      },
    });
    expect(refused(() => append(batch.view, at([0, 99, 10])))).toMatchObject({ argument: "positions", index: 2 });
    append(batch.view, at([0, 99, 9]));
  });

  test("name the length, the offset and the block that do not fit", () => {
    using batch = new AttentionBatch(device, attentionCase({ lengths: [20, 3] }));
    const input = attentionInput(batch);
    decodeAttention(batch.view, input);
    const int32 = (...numbers: number[]) => batch.upload(Int32Array.from(numbers));
    const withLengths = (...lengths: number[]) => ({ ...input, sequenceLengths: int32(...lengths) });
    expect(refused(() => decodeAttention(batch.view, withLengths(20, -1)))).toMatchObject({
      argument: "sequenceLengths",
      index: 1,
    });
    expect(refused(() => decodeAttention(batch.view, withLengths(4000, 1)))).toMatchObject({ index: 0, value: 4000 });
    const { numBlocks } = batch.view;
    const blockTables = int32(0, numBlocks, -1, 1, -7, -7);
    expect(refused(() => decodeAttention(batch.view, { ...input, blockTables }))).toMatchObject({
      argument: "blockTables",
      index: 1,
      value: numBlocks,
    });
    decodeAttention(batch.view, { ...input, blockTables: int32(0, -1, 99, 1, 99, 99) });
    const prefill = (...offsets: number[]) => ({
      ...input,
      sequenceLengths: batch.lengths,
      queryOffsets: int32(...offsets),
    });
    expect(refused(() => prefillAttention(batch.view, prefill(0, 2, 1)))).toMatchObject({
      argument: "queryOffsets",
      index: 2,
    });
    expect(refused(() => prefillAttention(batch.view, prefill(1, 1, 2)))).toMatchObject({ index: 0, value: 1 });
    prefillAttention(batch.view, prefill(0, 1, 2));
    const before = contents(input.query);
    const both = (): void => appendAndAttend(batch.view, tokens(batch, [0, 1]), withLengths(20, -1));
    expect(refused(both)).toBeInstanceOf(ContentsError);
    expect(contents(input.query)).toEqual(before);
  });

  test("are not made unless asked for", () => {
    checkContents(false);
    using batch = new AttentionBatch(device, attentionCase({ lengths: [20] }));
    append(batch.view, tokens(batch, [-2, batch.view.numSlots]));
  });
});

function refused(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

function tokens(batch: AttentionBatch, slots: readonly number[]): AppendInput {
  const { keyBytesPerToken, valueBytesPerToken } = batch.view;
  return {
    keys: batch.allocate(slots.length * keyBytesPerToken),
    values: batch.allocate(slots.length * valueBytesPerToken),
    slots: batch.upload(Int32Array.from(slots)),
  };
}

function attentionInput(batch: AttentionBatch): DecodeAttentionInput {
  const { numQueryHeads, lengths, tables } = batch;
  const sizeBytes = 2 * numQueryHeads * batch.view.keyDim * 2;
  const query = batch.upload(new Uint8Array(sizeBytes));
  const places = { sequenceLengths: lengths, ...(tables === undefined ? {} : { blockTables: tables }) };
  return { query, output: batch.allocate(sizeBytes), numQueryHeads, ...places };
}
