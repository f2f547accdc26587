import { isTraceTokens, MOST_TRACE_TOKENS, type Trace, type TraceRequest } from "./trace.ts";
import { TraceFormatError } from "./trace-format-error.ts";

/** The columns of Azure's traces. Others are left alone. */
export const AZURE_COLUMNS = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"] as const;

/** One row by its column names, as text. */
export type AzureRow = Readonly<Partial<Record<(typeof AZURE_COLUMNS)[number], string>>>;

/** Blocks that requests without ids are cut into where nothing else is said. */
export const AZURE_TOKENS_PER_ID = 512;

/**
 * Reads the LLM inference traces of Azure (Splitwise, ISCA 2024): CSV with a header; time of arrival, prompt tokens,
 * generated tokens. They say nothing about equal prefixes. Fields in quotes, which these files have not, are not read here.
 *
 * @throws TraceFormatError
 */
export function parseAzureTrace(text: string): Trace {
  const [header = "", ...rows] = text.split(/\r?\n/);
  const columns = header
    .replace(/^\uFEFF/, "")
    .split(",")
    .map((name) => name.trim());
  requireAzureColumns(columns);
  const requests: TraceRequest[] = [];
  let firstMs: number | undefined;
  rows.forEach((row, i) => {
    if (row.trim() === "") return;
    const cells = row.split(",");
    const line = i + 2;
    if (cells.length !== columns.length) {
      throw new TraceFormatError(line, "", `${columns.length} columns`, `${cells.length}`);
    }
    const request = parseAzureRow(Object.fromEntries(columns.map((name, at) => [name, cells[at]])), line, firstMs);
    firstMs ??= request.firstMs;
    requests.push(request.request);
  });
  return { format: "azure", requests, tokensPerId: AZURE_TOKENS_PER_ID };
}

/** @throws TraceFormatError naming the columns that a header lacks */
export function requireAzureColumns(columns: readonly string[]): void {
  const missing = AZURE_COLUMNS.filter((name) => !columns.includes(name));
  if (missing.length === 0) return;
  const expected = `the header ${AZURE_COLUMNS.join()}`;
  throw new TraceFormatError(1, "", expected, `${columns.join().slice(0, 60)} without ${missing.join()}`);
}

/** Reads one row, whose arrival counts from `firstMs`, the first row's own. @throws TraceFormatError */
export function parseAzureRow(
  row: AzureRow,
  line: number,
  firstMs: number | undefined,
): { readonly request: TraceRequest; readonly firstMs: number } {
  const timeMs = milliseconds(row.TIMESTAMP, line);
  const arrivalMs = timeMs - (firstMs ?? timeMs);
  if (arrivalMs < 0)
    throw new TraceFormatError(line, "TIMESTAMP", "a time not before the first", String(row.TIMESTAMP));
  const promptTokens = count(row.ContextTokens, "ContextTokens", line);
  const outputTokens = count(row.GeneratedTokens, "GeneratedTokens", line);
  return { request: { arrivalMs, promptTokens, outputTokens, prefixIds: undefined }, firstMs: firstMs ?? timeMs };
}

const TIME = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?$/;

/** Milliseconds with their fraction; UTC unless the text says otherwise. */
function milliseconds(text: string | undefined, line: number): number {
  const match = TIME.exec(text?.trim() ?? "");
  const time = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}${match[4] ?? "Z"}`);
  if (Number.isNaN(time)) {
    throw new TraceFormatError(line, "TIMESTAMP", "a time such as 2023-11-16 18:15:46.68", text || "nothing");
  }
  return time + Number(match?.[3] ?? 0) * 1000;
}

function count(text: string | undefined, column: string, line: number): number {
  const value = /^\d+$/.test(text?.trim() ?? "") ? Number(text) : Number.NaN;
  if (isTraceTokens(value)) return value;
  throw new TraceFormatError(line, column, `a count of tokens from 0 to ${MOST_TRACE_TOKENS}`, text || "nothing");
}
