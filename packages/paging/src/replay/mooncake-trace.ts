import { isTraceTokens, MOST_TRACE_TOKENS, type Trace, type TraceRequest } from "./trace.ts";
import { TraceFormatError } from "./trace-format-error.ts";

/** Tokens that one of Mooncake's `hash_ids` stands for. */
export const MOONCAKE_TOKENS_PER_ID = 512;

const TOKENS = `a count of tokens from 0 to ${MOST_TRACE_TOKENS}`;
/** JSON's numbers are read as doubles: two larger ids could become one. */
const ID = `a whole number from -${Number.MAX_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER} (give larger ids smaller numbers)`;

/**
 * Reads the traces published with Mooncake (FAST 2025): a JSON object per line with `timestamp` in milliseconds,
 * `input_length`, `output_length`, and `hash_ids`, one for each 512 tokens of the prompt.
 *
 * @throws TraceFormatError
 */
export function parseMooncakeTrace(text: string): Trace {
  const requests: TraceRequest[] = [];
  text.split("\n").forEach((line, i) => {
    if (line.trim() !== "") requests.push(parseMooncakeRequest(line, i + 1));
  });
  return { format: "mooncake", requests, tokensPerId: MOONCAKE_TOKENS_PER_ID };
}

/**
 * Reads one line. Other fields are left alone. That `hash_ids` are as many as the prompt needs is not required:
 * `traceNotes` tells.
 *
 * @throws TraceFormatError
 */
export function parseMooncakeRequest(text: string, line: number): TraceRequest {
  const fields = parseObject(text, line);
  return {
    arrivalMs: number(fields, "timestamp", line, "a number of milliseconds from 0", Number.isFinite),
    promptTokens: number(fields, "input_length", line, TOKENS, isTraceTokens),
    outputTokens: number(fields, "output_length", line, TOKENS, isTraceTokens),
    prefixIds: ids(fields["hash_ids"], line),
  };
}

function parseObject(text: string, line: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Reported below, with the line.
  }
  throw new TraceFormatError(line, "", "a JSON object", shown(text));
}

function number(
  fields: Record<string, unknown>,
  field: string,
  line: number,
  expected: string,
  isGood: (value: unknown) => boolean,
): number {
  const value = fields[field];
  if (typeof value === "number" && value >= 0 && isGood(value)) return value;
  throw new TraceFormatError(line, field, expected, shown(JSON.stringify(value)));
}

function ids(value: unknown, line: number): number[] {
  const expected = "a list of whole numbers";
  if (!Array.isArray(value)) throw new TraceFormatError(line, "hash_ids", expected, shown(JSON.stringify(value)));
  const wrong = value.findIndex((each) => !Number.isSafeInteger(each));
  if (wrong < 0) return value as number[];
  throw new TraceFormatError(line, `hash_ids[${wrong}]`, ID, shown(JSON.stringify(value[wrong])));
}

function shown(text: string | undefined): string {
  if (text === undefined) return "nothing";
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
