import { TraceFormatError } from "../errors.ts";
import type { Trace, TraceRequest } from "./trace.ts";

const HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens";

/**
 * Reads the LLM inference traces of Azure (Splitwise, ISCA 2024): CSV with a header; time of arrival, prompt tokens,
 * generated tokens. They say nothing about equal prefixes.
 *
 * @throws TraceFormatError
 */
export function parseAzureTrace(text: string): Trace {
  const lines = text.split(/\r?\n/);
  if (lines[0]?.trim() !== HEADER) throw new TraceFormatError(1, `the header ${HEADER}`, String(lines[0]).slice(0, 60));
  const requests: TraceRequest[] = [];
  let first: number | undefined;
  for (let i = 1; i < lines.length; i++) {
    if (lines[i]?.trim() === "") continue;
    const [time, prompt, output, ...rest] = (lines[i] as string).split(",");
    if (rest.length > 0) throw new TraceFormatError(i + 1, "three columns", `${rest.length + 3}`);
    const arrival = milliseconds(time, i + 1);
    first ??= arrival;
    requests.push({
      arrivalMs: arrival - first,
      promptTokens: count(prompt, i + 1),
      outputTokens: count(output, i + 1),
      prefixIds: undefined,
    });
  }
  return { format: "azure", requests, tokensPerId: 512 };
}

function milliseconds(text: string | undefined, line: number): number {
  const match = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?/.exec(text ?? "");
  const time = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}Z`);
  if (Number.isNaN(time)) throw new TraceFormatError(line, "a time such as 2023-11-16 18:15:46.68", String(text));
  return time + Number(match?.[3] ?? 0) * 1000;
}

function count(text: string | undefined, line: number): number {
  if (/^\d+$/.test(text?.trim() ?? "")) return Number(text);
  throw new TraceFormatError(line, "a count of tokens", String(text));
}
