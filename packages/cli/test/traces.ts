import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

/** The slice of a real trace that the package brings. */
export const SLICE: string = fileURLToPath(
  new URL("../traces/mooncake-conversation-first-2000.jsonl.gz", import.meta.url),
);

/** The first requests of Azure's trace. */
export const AZURE: string = fileURLToPath(
  new URL("../../paging/test/fixtures/azure-conversation-2023-first-2000.csv.gz", import.meta.url),
);

/** The whole Mooncake conversation trace as JSON lines, from the runs that it is kept in. */
export function mooncakeLines(): string {
  const file = new URL("../../paging/test/fixtures/mooncake-conversation-runs.txt.gz", import.meta.url);
  const lines = gunzipSync(readFileSync(file)).toString().trim().split("\n");
  return lines.map(jsonLine).join("\n");
}

function jsonLine(line: string): string {
  const [timestamp, inputLength, outputLength, ...runs] = line.split(" ");
  const ids = runs.flatMap((run) => {
    const [first = 0, more = 0] = run.split("+").map(Number);
    return Array.from({ length: more + 1 }, (_, i) => first + i);
  });
  return JSON.stringify({
    timestamp: Number(timestamp),
    input_length: Number(inputLength),
    output_length: Number(outputLength),
    hash_ids: ids,
  });
}

/** How long the first prompts of a Mooncake file are. */
export function promptTokens(file: string, most: number): number[] {
  const lines = gunzipSync(readFileSync(file)).toString().trim().split("\n").slice(0, most);
  return lines.map((line) => (JSON.parse(line) as { input_length: number }).input_length);
}
