import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { PassThrough, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import {
  AZURE_TOKENS_PER_ID,
  type AzureRow,
  isGzip,
  MOONCAKE_TOKENS_PER_ID,
  parseAzureRow,
  parseMooncakeRequest,
  requireAzureColumns,
  type Trace,
  TraceFormatError,
  type TraceRequest,
  traceFormat,
} from "@kv/paging/replay";
import { CsvError, parse } from "csv-parse";
import { InputError } from "../input-error.ts";

/** Enough to tell a format by. */
const BEGINNING_BYTES = 256;

/**
 * Reads a trace from a file, line by line: Mooncake's JSON lines or Azure's CSV, compressed with gzip or not, both told by
 * the contents. Stops after `most` requests.
 *
 * @throws InputError, TraceFormatError, each naming the file
 */
export async function readTraceFile(file: string, most: number = Number.POSITIVE_INFINITY): Promise<Trace> {
  const { streams, text } = await openText(file);
  try {
    const beginning = await peek(text);
    if (beginning.length === 0) throw new InputError(file, `${file} is empty: it has no requests`);
    const trace =
      traceFormat(beginning.toString("utf8")) === "mooncake"
        ? await readMooncake(text, most)
        : await readAzure(text, most);
    if (trace.requests.length > 0) return trace;
    throw new InputError(file, `${file} has no requests`);
  } catch (error) {
    throw named(file, error);
  } finally {
    for (const stream of streams) stream.destroy();
  }
}

interface OpenText {
  /** All to be destroyed at the end. */
  readonly streams: readonly Readable[];
  readonly text: Readable;
}

async function openText(file: string): Promise<OpenText> {
  const raw = createReadStream(file);
  try {
    if (!isGzip(await peek(raw))) return { streams: [raw], text: raw };
  } catch (error) {
    throw named(file, error);
  }
  const text = raw.pipe(createGunzip());
  raw.on("error", (error) => text.destroy(error));
  return { streams: [raw, text], text };
}

/** The first bytes of a stream, which stay there to be read. */
function peek(stream: Readable): Promise<Buffer> {
  // It ends once: who looks later is not told.
  if (stream.readableEnded) return Promise.resolve(Buffer.alloc(0));
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const chunk: Buffer | null = stream.read();
      if (chunk === null) return;
      done(() => {
        stream.unshift(chunk);
        resolve(chunk.subarray(0, BEGINNING_BYTES));
      });
    };
    const end = (): void => done(() => resolve(Buffer.alloc(0)));
    const fail = (error: Error): void => done(() => reject(error));
    const done = (then: () => void): void => {
      stream.off("readable", look).off("end", end).off("error", fail);
      then();
    };
    stream.on("readable", look).on("end", end).on("error", fail);
  });
}

async function readMooncake(text: Readable, most: number): Promise<Trace> {
  const requests: TraceRequest[] = [];
  const source = withErrors(text);
  let line = 0;
  try {
    for await (const each of createInterface({ input: source, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (requests.length >= most) break;
      line++;
      const content = line === 1 ? each.replace(/^\uFEFF/, "") : each;
      if (content.trim() !== "") requests.push(parseMooncakeRequest(content, line));
    }
  } catch (error) {
    source.throwIfFailed(); // the line was cut short by that
    throw error;
  }
  source.throwIfFailed();
  return { format: "mooncake", requests, tokensPerId: MOONCAKE_TOKENS_PER_ID };
}

/** `readline` ends quietly when its input fails: what failed is kept and thrown after the last line. */
function withErrors(text: Readable): PassThrough & { throwIfFailed(): void } {
  let failure: Error | undefined;
  const source = Object.assign(new PassThrough(), {
    throwIfFailed: () => {
      if (failure !== undefined) throw failure;
    },
  });
  text.on("error", (error) => {
    failure = error;
    source.end();
  });
  return text.pipe(source);
}

async function readAzure(text: Readable, most: number): Promise<Trace> {
  const requests: TraceRequest[] = [];
  const parser = parse({
    bom: true,
    info: true,
    trim: true,
    skip_empty_lines: true,
    columns: (header: string[]) => {
      requireAzureColumns(header);
      return header;
    },
  });
  text.on("error", (error) => parser.destroy(error)).pipe(parser);
  let firstMs: number | undefined;
  for await (const { record, info } of parser as AsyncIterable<{ record: AzureRow; info: { lines: number } }>) {
    if (requests.length >= most) break;
    const { request, firstMs: origin } = parseAzureRow(record, info.lines, firstMs);
    firstMs = origin;
    requests.push(request);
  }
  return { format: "azure", requests, tokensPerId: AZURE_TOKENS_PER_ID };
}

/** An error as it concerns this file. */
function named(file: string, error: unknown): unknown {
  if (error instanceof TraceFormatError) {
    error.message = `${file}: ${error.message}`;
    return error;
  }
  if (error instanceof CsvError) {
    const line = typeof error["lines"] === "number" ? error["lines"] : 1;
    return named(file, new TraceFormatError(line, "", "rows of one length", error.message));
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return new InputError(file, `there is no file ${file}`);
  if (code?.startsWith("Z_")) return new InputError(file, `${file} is not a whole gzip file (${message})`);
  return code?.startsWith("E") ? new InputError(file, `${file} cannot be read (${code})`) : error;
}
