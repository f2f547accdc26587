import { describe, expect, test } from "vitest";
import { modelShape } from "../test/models.ts";
import { sizeOf } from "./cache-size.ts";
import { layersPerStage, resolveSharding } from "./sharding.ts";

const LLAMA = modelShape("meta-llama/Meta-Llama-3-8B");
const DEEPSEEK = modelShape("deepseek-ai/DeepSeek-V3");
const FALCON = modelShape("tiiuae/falcon-7b");

const oneToken = (shape: typeof LLAMA, sharding: object) => sizeOf(shape, { tokens: 1, sharding });

describe("tensor parallelism", () => {
  test("shares out the heads", () => {
    const { totalBytes, largestDeviceBytes, numDevices } = oneToken(LLAMA, { tensor: 4 });
    expect([totalBytes, largestDeviceBytes, numDevices]).toEqual([131_072, 32_768, 4]);
  });

  test("copies heads where there are more ranks than heads", () => {
    const { totalBytes, largestDeviceBytes } = oneToken(LLAMA, { tensor: 32 });
    expect([totalBytes, largestDeviceBytes]).toEqual([32 * 16_384, 16_384]);
    expect(oneToken(FALCON, { tensor: 2 }).totalBytes).toBe(2 * oneToken(FALCON, {}).totalBytes);
  });

  test("gives the widest rank its share where heads do not divide", () => {
    expect(oneToken(LLAMA, { tensor: 3 }).largestDeviceBytes).toBe((131_072 / 8) * 3);
  });

  test("never splits a latent", () => {
    expect(oneToken(DEEPSEEK, { tensor: 8 }).largestDeviceBytes).toBe(70_272);
    expect(oneToken(DEEPSEEK, { tensor: 8 }).totalBytes).toBe(8 * 70_272);
  });

  test("copies Mamba-2's groups where there are fewer than ranks", () => {
    const nemotron = modelShape("nvidia/Nemotron-H-8B-Base-8K");
    const state = nemotron.layers.find((layer) => layer.kind === "state");
    if (state?.kind !== "state") throw new Error("the model has recurrent layers");
    const { count, width } = state.convGroups;
    expect(count).toBe(8);
    const only = { ...nemotron, layers: [state] };
    const inner = state.convWidth - count * width;
    const bytes = (tensor: number): number => (inner / tensor + Math.max(1, count / tensor) * width) * 3 * 2;
    const states = (tensor: number): number => (state.stateElements / tensor) * 4;
    for (const tensor of [1, 2, 8, 16]) {
      expect(oneToken(only, { tensor }).largestDeviceBytes).toBe(bytes(tensor) + states(tensor));
    }
  });
});

describe("pipeline parallelism", () => {
  test("shares out the layers, the ends last", () => {
    expect(layersPerStage(32, 4)).toEqual([8, 8, 8, 8]);
    expect(layersPerStage(30, 4)).toEqual([7, 8, 8, 7]);
    expect(layersPerStage(61, 4)).toEqual([15, 15, 16, 15]);
    expect(layersPerStage(7, 4)).toEqual([2, 2, 2, 1]);
    expect(() => layersPerStage(3, 4)).toThrow("sharding.pipeline must be at most 3, the layers");
  });

  test("takes the same in all, and the fullest stage decides", () => {
    const { totalBytes, largestDeviceBytes, numDevices } = oneToken(DEEPSEEK, { pipeline: 4 });
    expect([totalBytes, largestDeviceBytes, numDevices]).toEqual([70_272, 16 * 1152, 4]);
  });
});

describe("data and context parallelism", () => {
  test("share out sequences and tokens", () => {
    const { largestDeviceBytes, totalBytes, numDevices } = sizeOf(LLAMA, {
      tokens: 1000,
      sequences: 5,
      sharding: { data: 2, context: 4 },
    });
    expect(numDevices).toBe(8);
    expect(largestDeviceBytes).toBe(3 * 250 * 131_072);
    expect(totalBytes).toBe(5 * 1000 * 131_072);
  });
});

test.each<[string, unknown]>([
  ["sharding.tensor", { tensor: 0 }],
  ["sharding.tensor", { tensor: 65_537 }],
  ["sharding.pipeline", { pipeline: 1.5 }],
  ["sharding.data", { data: "2" }],
  ["sharding.expert", { expert: 2 }],
  ["sharding", "tp2"],
])("%s is refused: %j", (field, sharding) => {
  expect(() => resolveSharding(sharding as never)).toThrow(expect.objectContaining({ code: "INVALID_CONFIG", field }));
});
