import { expect, test } from "vitest";
import { weightsFromIndex } from "./weights.ts";

test("reads the total that the index states", () => {
  expect(weightsFromIndex({ metadata: { total_size: 16_060_522_496 }, weight_map: {} })).toBe(16_060_522_496);
});

test.each([null, {}, { metadata: {} }, { metadata: { total_size: -1 } }, { metadata: { total_size: "16 GB" } }])(
  "refuses %j",
  (index) => {
    expect(() => weightsFromIndex(index)).toThrow(expect.objectContaining({ code: "INVALID_CONFIG" }));
  },
);
