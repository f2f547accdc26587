import { TraceFormatError } from "../errors.ts";
import { parseAzureTrace } from "./azure-trace.ts";
import { parseMooncakeTrace } from "./mooncake-trace.ts";
import type { Trace } from "./trace.ts";

/** Reads a trace in either format, compressed with gzip or not. @throws TraceFormatError */
export async function readTrace(bytes: Uint8Array): Promise<Trace> {
  const text = new TextDecoder().decode(isGzip(bytes) ? await gunzip(bytes) : bytes);
  return parseTrace(text);
}

/** Reads the text of a trace, whose first character tells the format. @throws TraceFormatError */
export function parseTrace(text: string): Trace {
  if (text.startsWith("{")) return parseMooncakeTrace(text);
  if (text.startsWith("TIMESTAMP")) return parseAzureTrace(text);
  throw new TraceFormatError(1, "JSON lines of Mooncake or CSV of Azure", text.slice(0, 40));
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** By the web's own decompression, which browsers and Node have. */
async function gunzip(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes.slice()]).stream().pipeThrough(new DecompressionStream("gzip"));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (error) {
    throw new TraceFormatError(1, "a whole gzip file", error instanceof Error ? error.message : String(error));
  }
}
