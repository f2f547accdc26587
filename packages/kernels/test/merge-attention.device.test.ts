import { type Device, openDevice } from "@kv/device-memory";
import type { AttentionDtype } from "@kv/native";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type MergeAttentionInput, mergeAttention, ShapeError } from "../src/index.ts";
import { isSmall } from "./cases.ts";
import { decode, encode, rounded, unitRoundoff } from "./elements.ts";
import { contents, requireNear } from "./near.ts";
import { Random } from "./random.ts";

const missing = inject("deviceMissing");
const CASES = (["fp16", "bf16", "fp32"] as const)
  .flatMap((dtype) => [
    { dtype, outputDtype: dtype, numParts: 2, numRows: 5, width: 64 },
    { dtype, outputDtype: "fp32" as const, numParts: 1, numRows: 1, width: 1 },
    { dtype, outputDtype: dtype, numParts: 7, numRows: 300, width: 80 },
    { dtype, outputDtype: dtype, numParts: 3, numRows: 70_000, width: 3 },
  ])
  .filter(({ numRows }) => !isSmall || numRows < 1000);

describe.skipIf(missing !== "")(`merging attention on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  const upload = (bytes: Uint8Array) => {
    const memory = device.allocate(bytes.length);
    memory.upload(bytes);
    return memory;
  };

  test.each(CASES)("is the mean by exp(log-sum-exp): $dtype $numParts x $numRows x $width", (testCase) => {
    const { dtype, outputDtype, numParts, numRows, width } = testCase;
    const random = new Random(7);
    const parts = Float64Array.from({ length: numParts * numRows * width }, () => rounded(random.normal(), dtype));
    const sums = Float64Array.from({ length: numParts * numRows }, (_, i) =>
      i % 4 === 1 ? Number.NEGATIVE_INFINITY : Math.fround(30 * random.normal()),
    );
    const bytes = encode(parts, dtype);
    // What saw nothing may hold anything.
    sums.forEach((sum, row) => {
      const bytesPerRow = bytes.length / sums.length;
      if (sum === Number.NEGATIVE_INFINITY) bytes.fill(0xff, row * bytesPerRow, (row + 1) * bytesPerRow);
    });
    using partMemory = upload(bytes);
    using sumMemory = upload(new Uint8Array(Float32Array.from(sums).buffer));
    using output = upload(new Uint8Array(numRows * width * (outputDtype === "fp32" ? 4 : 2)).fill(0xff));
    using logSumExp = upload(new Uint8Array(4 * numRows).fill(0xff));
    mergeAttention({ ...testCase, partDtype: dtype, parts: partMemory, logSumExps: sumMemory, output, logSumExp });
    const found = decode(contents(output), outputDtype);
    const foundSums = decode(contents(logSumExp), "fp32");
    for (let row = 0; row < numRows; row++) {
      const logs = Array.from({ length: numParts }, (_, part) => sums[part * numRows + row] ?? Number.NaN);
      const most = Math.max(...logs);
      const weights = logs.map((log) => (log === Number.NEGATIVE_INFINITY ? 0 : Math.exp(log - most)));
      const total = weights.reduce((sum, each) => sum + each, 0);
      // exp and the sums in fp32; a difference of log-sum-exps of magnitude 100 is rounded to 2^-18.
      requireNear(
        `row ${row}`,
        foundSums[row],
        total === 0 ? Number.NEGATIVE_INFINITY : most + Math.log(total),
        2 ** -16,
      );
      for (let i = 0; i < width; i++) {
        const elements = weights.map((_, part) => parts[(part * numRows + row) * width + i] ?? Number.NaN);
        const wanted =
          total === 0 ? 0 : elements.reduce((sum, each, part) => sum + (weights[part] ?? 0) * each, 0) / total;
        const allowed = 4 * (2 ** -17 + unitRoundoff(outputDtype as AttentionDtype));
        requireNear(`row ${row}, element ${i}`, found[row * width + i], wanted, allowed);
      }
    }
  });

  test("refuses what does not fit, by its name", () => {
    using memory = device.allocate(1024);
    const input: MergeAttentionInput = {
      parts: memory.slice(0, 512),
      logSumExps: memory.slice(512, 32),
      output: memory.slice(544, 256),
      numParts: 2,
      width: 32,
      partDtype: "fp16",
    };
    mergeAttention(input);
    for (const name of ["parts", "logSumExps", "output", "logSumExp"] as const) {
      expect(() => mergeAttention({ ...input, [name]: memory.slice(0, 20) }), name).toThrow(ShapeError);
    }
    for (const [name, value] of Object.entries({ numParts: 0, width: 0.5 })) {
      expect(() => mergeAttention({ ...input, [name]: value })).toThrow(name);
    }
    expect(() => mergeAttention({ ...input, output: memory.slice(100, 256) })).toThrow(/overlaps/);
  });
});
