import { expect, test } from "vitest";
import { parseMooncakeTrace } from "./mooncake-trace.ts";
import { traceNotes } from "./trace-notes.ts";

const line = (input: number, ids: number[]): string =>
  JSON.stringify({ timestamp: 0, input_length: input, output_length: 1, hash_ids: ids });

test("a trace as it should be has none", () => {
  expect(traceNotes(parseMooncakeTrace([line(600, [1, 2]), line(1500, [1, 2, 3])].join("\n")))).toEqual([]);
});

test("counts prompts with other numbers of ids, and ids that come after different ones", () => {
  const text = [line(600, [1]), line(600, [5, 2]), line(600, [6, 2]), line(1, [2])].join("\n");
  expect(traceNotes(parseMooncakeTrace(text))).toEqual([
    "1 requests have not one id for each 512 tokens of the prompt",
    "1 ids come after different ids: they count as equal only after equal ones",
  ]);
});
