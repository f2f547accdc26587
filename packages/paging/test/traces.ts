import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { parseMooncakeTrace, type Trace } from "../src/replay/index.ts";

/** The bytes of a fixture as they are in the folder. */
export function fixture(name: string): Uint8Array {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url));
}

/** The whole Mooncake conversation trace, from the runs that it is kept in. */
export function mooncakeTrace(): Trace {
  const lines = gunzipSync(fixture("mooncake-conversation-runs.txt.gz")).toString().trim().split("\n");
  return parseMooncakeTrace(lines.map(jsonLine).join("\n"));
}

function jsonLine(line: string): string {
  const [timestamp, inputLength, outputLength, ...runs] = line.split(" ");
  const ids = runs.flatMap((run) => {
    const [first, more = 0] = run.split("+").map(Number) as [number, number?];
    return Array.from({ length: more + 1 }, (_, i) => first + i);
  });
  return JSON.stringify({
    timestamp: Number(timestamp),
    input_length: Number(inputLength),
    output_length: Number(outputLength),
    hash_ids: ids,
  });
}
