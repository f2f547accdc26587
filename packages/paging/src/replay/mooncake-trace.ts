import { TraceFormatError } from "../errors.ts";
import type { Trace, TraceRequest } from "./trace.ts";

const TOKENS_PER_ID = 512;

/**
 * Reads the traces published with Mooncake (FAST 2025): a JSON object per line with `timestamp` in milliseconds,
 * `input_length`, `output_length`, and `hash_ids`, one for each 512 tokens of the prompt.
 *
 * @throws TraceFormatError
 */
export function parseMooncakeTrace(text: string): Trace {
  const requests: TraceRequest[] = [];
  text.split("\n").forEach((line, i) => {
    if (line.trim() !== "") requests.push(parseRequest(line, i + 1));
  });
  return { format: "mooncake", requests, tokensPerId: TOKENS_PER_ID };
}

function parseRequest(text: string, line: number): TraceRequest {
  const fields = parseObject(text, line);
  const arrivalMs = count(fields, "timestamp", line);
  const promptTokens = count(fields, "input_length", line);
  const outputTokens = count(fields, "output_length", line);
  const prefixIds = ids(fields["hash_ids"], line);
  const numIds = Math.ceil(promptTokens / TOKENS_PER_ID);
  if (prefixIds.length === numIds) return { arrivalMs, promptTokens, outputTokens, prefixIds };
  throw new TraceFormatError(line, `${numIds} hash_ids for ${promptTokens} tokens`, `${prefixIds.length}`);
}

function parseObject(text: string, line: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Reported below, with the line.
  }
  throw new TraceFormatError(line, "a JSON object", text.slice(0, 40));
}

function count(fields: Record<string, unknown>, name: string, line: number): number {
  const value = fields[name];
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) {
    if (name === "timestamp" || Number.isInteger(value)) return value;
  }
  throw new TraceFormatError(line, `a count as ${name}`, String(JSON.stringify(value)));
}

function ids(value: unknown, line: number): number[] {
  if (Array.isArray(value) && value.every((each) => Number.isSafeInteger(each))) return value as number[];
  throw new TraceFormatError(line, "integers as hash_ids", String(JSON.stringify(value)).slice(0, 40));
}
