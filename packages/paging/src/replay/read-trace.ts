import { parseAzureTrace } from "./azure-trace.ts";
import { parseMooncakeTrace } from "./mooncake-trace.ts";
import type { Trace } from "./trace.ts";
import { TraceFormatError } from "./trace-format-error.ts";

/** Reads a trace in either format, compressed with gzip or not. @throws TraceFormatError */
export async function readTrace(bytes: Uint8Array): Promise<Trace> {
  const text = new TextDecoder().decode(isGzip(bytes) ? await gunzip(bytes) : bytes);
  return parseTrace(text);
}

/** Reads the text of a trace, whose beginning tells the format. @throws TraceFormatError */
export function parseTrace(text: string): Trace {
  return traceFormat(text) === "mooncake" ? parseMooncakeTrace(text) : parseAzureTrace(text);
}

/** The format of a trace by its first characters: an object, or a header that names a time. @throws TraceFormatError */
export function traceFormat(beginning: string): Trace["format"] {
  const start = beginning.replace(/^\uFEFF/, "").trimStart();
  if (start.startsWith("{")) return "mooncake";
  const [header = ""] = start.split("\n", 1);
  if (header.includes("TIMESTAMP")) return "azure";
  const found = start === "" ? "nothing" : start.slice(0, 40);
  throw new TraceFormatError(1, "", "JSON lines of Mooncake or CSV of Azure", found);
}

/** Whether bytes begin as a gzip file does (RFC 1952). */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** By the web's own decompression, which browsers and Node have. */
async function gunzip(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes.slice()]).stream().pipeThrough(new DecompressionStream("gzip"));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (error) {
    throw new TraceFormatError(1, "", "a whole gzip file", error instanceof Error ? error.message : String(error));
  }
}
