import type { GGUFParseOutput } from "@huggingface/gguf";
import { fromGguf } from "./gguf-metadata/from-gguf.ts";
import type { ModelShape } from "./model-shape.ts";

/** What a GGUF file says about the model in it. */
export interface GgufModel {
  readonly shape: ModelShape;
  /** `general.name`, or null. */
  readonly name: string | null;
  /** Bytes of the file, of all shards if it is one of several: what the weights take. */
  readonly weightsBytes: number;
}

/** `@huggingface/gguf`, which reads the files, is not installed. */
export class MissingPeerError extends Error {
  override readonly name = "MissingPeerError";
  readonly code = "MISSING_PEER";
  readonly peer = "@huggingface/gguf";

  constructor(cause: unknown) {
    super("reading GGUF files needs @huggingface/gguf: npm install @huggingface/gguf", { cause });
  }
}

/** A file could not be read as GGUF. */
export class GgufReadError extends Error {
  override readonly name = "GgufReadError";
  readonly code = "GGUF_READ";

  constructor(
    readonly file: string,
    cause: unknown,
  ) {
    super(`${file} is not a GGUF file that can be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

/**
 * Reads the header of a local GGUF file; the weights are not touched.
 *
 * @throws MissingPeerError, GgufReadError, and what `fromGguf` throws
 */
export async function readGgufFile(path: string): Promise<GgufModel> {
  const library = await peer();
  const metadata = await reading(path, async () => {
    const { stat } = await import("node:fs/promises");
    return wholeMetadata(library, path, { allowLocalFile: true }, (await stat(path)).size);
  });
  return modelOf(metadata, await bytesOfShards(path));
}

/**
 * Reads the header of a GGUF file that a page was given. The blob may be the first few megabytes of the file only:
 * `weightsBytes` is the blob's size.
 *
 * @throws MissingPeerError, GgufReadError, and what `fromGguf` throws
 */
export async function readGgufBlob(blob: Blob): Promise<GgufModel> {
  const library = await peer();
  const metadata = await reading("the blob", async () => {
    return wholeMetadata(library, "https://blob.invalid/model.gguf", { fetch: rangesOf(blob) }, blob.size);
  });
  return modelOf(metadata, blob.size);
}

type Library = typeof import("@huggingface/gguf");

async function peer(): Promise<Library> {
  try {
    return await import("@huggingface/gguf");
  } catch (error) {
    throw new MissingPeerError(error);
  }
}

async function reading<Result>(file: string, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    throw new GgufReadError(file, error);
  }
}

/** The reader takes what is missing at the end of a file for zeros, so that a number that was cut off looks whole. */
async function wholeMetadata(
  { gguf, serializeGgufMetadata }: Library,
  file: string,
  from: { readonly allowLocalFile?: true; readonly fetch?: typeof fetch },
  fileBytes: number,
): Promise<object> {
  const parsed = await gguf(file, from);
  if (fileBytes >= latestMetadataEnd(parsed)) return parsed.metadata;
  // A file of nothing but metadata may leave out the padding: there the end is counted value by value.
  const { typedMetadata } = await gguf(file, { ...from, typedMetadata: true });
  if (fileBytes >= serializeGgufMetadata(typedMetadata, { alignment: 1 }).length) return parsed.metadata;
  throw new Error("it ends before its metadata does");
}

/** Where the metadata ends at the latest: the descriptions of the tensors follow it, then padding, then their data. */
function latestMetadataEnd({ metadata, tensorInfos, tensorDataOffset }: GGUFParseOutput): number {
  const countBytes = metadata.version === 1 ? 4 : 8;
  const described = tensorInfos.reduce((total, { name, shape }) => {
    // Length and text of the name, number of dimensions, dimensions, type, offset.
    return total + countBytes + new TextEncoder().encode(name).length + 4 + shape.length * countBytes + 4 + 8;
  }, 0);
  return Number(tensorDataOffset) - described;
}

function modelOf(metadata: object, weightsBytes: number): GgufModel {
  const name = (metadata as Readonly<Record<string, unknown>>)["general.name"];
  return { shape: fromGguf(metadata), name: typeof name === "string" ? name : null, weightsBytes };
}

/** Answers the reader's range requests from a blob. */
function rangesOf(blob: Blob): typeof fetch {
  return async (_url, request) => {
    const range = new Headers(request?.headers).get("range") ?? "bytes=0-";
    const [, from = "0", to = ""] = /bytes=(\d+)-(\d*)/.exec(range) ?? [];
    const end = to === "" ? blob.size : Number(to) + 1;
    return new Response(await blob.slice(Number(from), end).arrayBuffer(), { status: 206 });
  };
}

/** `model-00001-of-00003.gguf` stands for all three, where they lie beside it. */
async function bytesOfShards(path: string): Promise<number> {
  const { stat } = await import("node:fs/promises");
  const [, prefix, count] = /^(.*)-\d{5}-of-(\d{5})\.gguf$/.exec(path) ?? [];
  if (prefix === undefined || count === undefined) return (await stat(path)).size;
  const shards = Array.from(
    { length: Number(count) },
    (_, i) => `${prefix}-${String(i + 1).padStart(5, "0")}-of-${count}.gguf`,
  );
  const sizes = await Promise.all(shards.map(async (shard) => (await stat(shard)).size));
  return sizes.reduce((total, bytes) => total + bytes, 0);
}
