import { describe, expect, test } from "vitest";
import { axisTokens, stackedColumns } from "./chart-data.ts";
import { holds, ranges } from "./layer-words.ts";
import { counted, percent } from "./words.ts";

describe("ranges", () => {
  test.each([
    [[], ""],
    [[3], "3"],
    [[0, 1, 2, 3], "0–3"],
    [[0, 1, 3, 5, 6], "0–1, 3, 5–6"],
    [[0, 2, 4, 6, 8, 10, 12], "0, 2, 4, 6, …, 12"],
  ])("%j", (indices, text) => {
    expect(ranges(indices)).toBe(text);
  });
});

describe("holds", () => {
  test("says what a layer keeps", () => {
    const heads = { index: 0, numKvHeads: 1, keyDim: 192, valueDim: 128 };
    expect(holds({ kind: "sliding", windowTokens: 4096, ...heads })).toBe(
      "last 4,096 tokens, 1 KV head × (K 192, V 128)",
    );
    expect(holds({ kind: "cross", encoderTokens: null, ...heads, keyDim: 128 })).toBe(
      "the encoder's tokens, 1 KV head × 128",
    );
    const latent = { latentDim: 512, ropeDim: 64, indexerKeyDim: 128, expanded: heads };
    expect(holds({ kind: "latent", index: 0, ...latent })).toBe("latent 512 + rotary 64, indexer key 128");
  });
});

describe("stackedColumns", () => {
  test("puts the topmost first, each with all that lies below it", () => {
    const points = [
      { tokens: 0, parts: [{ name: "weights" as const, bytes: 10 }] },
      {
        tokens: 8,
        parts: [
          { name: "weights" as const, bytes: 10 },
          { name: "full" as const, bytes: 5 },
        ],
      },
    ];
    expect(stackedColumns(points, ["weights", "full"])).toEqual([
      [0, 8],
      [10, 15],
      [10, 10],
    ]);
  });
});

test("axisTokens writes contexts in powers of two", () => {
  expect([0, 512, 1024, 8192, 131072, 1048576, 1572864, 3000].map(axisTokens)).toEqual([
    "0",
    "512",
    "1K",
    "8K",
    "128K",
    "1M",
    "1.5M",
    "3000",
  ]);
});

test("counts and shares read as people write them", () => {
  expect([counted(1, "card"), counted(8192, "token"), percent(1, 3), percent(0, 0)]).toEqual([
    "1 card",
    "8,192 tokens",
    "33.3%",
    "–",
  ]);
});
