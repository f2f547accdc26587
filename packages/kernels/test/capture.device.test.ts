import { type Device, type DeviceMemory, openDevice } from "@kv/device-memory";
import type { HostVariant } from "@kv/native";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import {
  append,
  copyBlocks,
  decodeAttention,
  gatherBlocks,
  mergeAttention,
  prefillAttention,
  scatterBlocks,
} from "../src/index.ts";
import { AttentionBatch } from "./attention-batch.ts";
import { attentionCase } from "./attention-cases.ts";
import { kernelCases } from "./cases.ts";
import { encode } from "./elements.ts";
import { contents } from "./near.ts";
import { appendTo, bytesOf } from "./oracle.ts";
import { TestView } from "./test-view.ts";

const missing = inject("deviceMissing");
const DTYPES = ["fp32", "fp16", "bf16"] as const;
// Several chunks of each kernel, and few: what is captured must not depend on them.
const LENGTHS = [2100, 3, 700];
const OTHER_LENGTHS = [[2, 1, 600], [1500, 0, 1], LENGTHS];

describe.skipIf(missing !== "")(`kernels in a graph on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  test.each([...DTYPES.map((dtype) => [dtype, "fastest"] as const), ["fp32", "reference"] as const])(
    "attention of %s (%s) is what it is by calls, after lengths have changed",
    (dtype, hostVariant: HostVariant) => {
      using batch = new AttentionBatch(device, attentionCase({ lengths: LENGTHS, dtype }));
      const { view, numQueryHeads } = batch;
      const query = batch.upload(encode(batch.numbers(LENGTHS.length * numQueryHeads * view.keyDim, dtype), dtype));
      const queryOffsets = batch.upload(Int32Array.of(0, 1, 2, 3));
      const result = (): DeviceMemory =>
        batch.allocate((query.sizeBytes / view.keyBytesPerToken) * view.valueBytesPerToken);
      const [decoded, prefilled] = [result(), result()];
      const sequenceLengths = batch.lengths;
      const places = { query, sequenceLengths, numQueryHeads, hostVariant, queryDtype: dtype, outputDtype: dtype };
      const tables = batch.tables === undefined ? {} : { blockTables: batch.tables };
      const decode = (): void => decodeAttention(view, { ...places, ...tables, output: decoded });
      const prefill = (): void => prefillAttention(view, { ...places, ...tables, queryOffsets, output: prefilled });
      using graph = device.capture(() => {
        decode();
        prefill();
      });
      for (const lengths of OTHER_LENGTHS) {
        sequenceLengths.upload(Int32Array.from(lengths));
        decode();
        prefill();
        const wanted = [contents(decoded), contents(prefilled)];
        decoded.fill(0xff);
        prefilled.fill(0xff);
        graph.replay();
        expect([contents(decoded), contents(prefilled)]).toEqual(wanted);
      }
    },
  );

  test("a merge takes what the parts are at each replay", () => {
    using batch = new AttentionBatch(device, attentionCase({ lengths: [1] }));
    const [parts, logSumExps, output] = [2 * 3 * 8, 2 * 3, 3 * 8].map((count) => batch.allocate(4 * count)) as [
      DeviceMemory,
      DeviceMemory,
      DeviceMemory,
    ];
    const merge = (): void => mergeAttention({ parts, logSumExps, output, numParts: 2, width: 8, partDtype: "fp32" });
    using graph = device.capture(merge);
    for (let round = 0; round < 3; round++) {
      parts.upload(encode(batch.numbers(2 * 3 * 8, "fp32"), "fp32"));
      logSumExps.upload(encode(batch.numbers(2 * 3, "fp32"), "fp32"));
      merge();
      const wanted = contents(output);
      output.fill(0xff);
      graph.replay();
      expect(contents(output)).toEqual(wanted);
    }
  });

  test.each(kernelCases())("an append goes where the slots say at each replay: $name", (testCase) => {
    using tested = new TestView(device, testCase);
    const { view } = tested;
    const { keys, values, keyBytes, valueBytes } = tested.tokens(1);
    using slots = device.allocate(4);
    using graph = device.capture(() => append(view, { keys, values, slots }));
    for (const slot of [0, view.numSlots - 1, -1, 1]) {
      slots.upload(Int32Array.of(slot));
      graph.replay();
      appendTo(tested.keys.wanted, tested.keys.shape, keyBytes, [slot]);
      appendTo(tested.values.wanted, tested.values.shape, valueBytes, [slot]);
      expect(bytesOf(tested.keys.read()).equals(bytesOf(tested.keys.wanted)), `keys, slot ${slot}`).toBe(true);
      expect(bytesOf(tested.values.read()).equals(bytesOf(tested.values.wanted)), `values, slot ${slot}`).toBe(true);
    }
    keys.dispose();
    values.dispose();
  });

  test("lists of blocks cannot be captured: they come from JavaScript at each call", () => {
    using batch = new AttentionBatch(device, attentionCase({ lengths: [20] }));
    const { view } = batch;
    const packed = batch.allocate(view.tokensPerBlock * (view.keyBytesPerToken + view.valueBytesPerToken));
    const calls: [operation: string, call: () => void][] = [
      ["copyBlocks", () => copyBlocks(view, [{ from: 0, to: 1 }])],
      ["gatherBlocks", () => gatherBlocks(view, Int32Array.of(0), packed)],
      ["scatterBlocks", () => scatterBlocks(view, Int32Array.of(0), packed)],
    ];
    for (const [operation, call] of calls) {
      expect(() => device.capture(call)).toThrow(expect.objectContaining({ code: "CAPTURE_ERROR", operation }));
    }
  });
});
