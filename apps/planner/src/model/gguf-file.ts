import type { GGUFParseOutput } from "@huggingface/gguf";

/** A GGUF file as the page keeps it. */
export interface GgufText {
  /** `general.*` and the architecture's own keys as JSON: what decides about the cache, and short enough for a link. */
  readonly text: string;
  /** Bytes of the tensors; null if only the head of a file was given. */
  readonly weightsBytes: number | null;
}

/**
 * Reads the header of a GGUF file; the tensors are not touched, and the reader is loaded when it is first needed.
 *
 * @throws GgufReadError if it is no GGUF file, or ends before its metadata does
 */
export async function readGguf(file: File): Promise<GgufText> {
  const [{ gguf }, { GgufReadError }] = await Promise.all([import("@huggingface/gguf"), import("@kv/config/gguf")]);
  try {
    const parsed = await gguf("https://file.invalid/model.gguf", { fetch: rangesOf(file) });
    // The reader takes what is missing at the end of a file for zeros, so that a number that was cut off looks whole.
    if (file.size < metadataEnd(parsed)) throw new Error("it ends before its metadata does; give more of the file");
    return { text: textOf(parsed.metadata), weightsBytes: tensorBytes(parsed, file.size) };
  } catch (cause) {
    throw new GgufReadError(file.name, cause);
  }
}

/** Answers the reader's range requests from a file. */
function rangesOf(file: File): typeof fetch {
  return async (_url, request) => {
    const range = new Headers(request?.headers).get("range");
    const [, from = "0", to = ""] = /bytes=(\d+)-(\d*)/.exec(range ?? "") ?? [];
    return new Response(file.slice(Number(from), to === "" ? file.size : Number(to) + 1), { status: 206 });
  };
}

function textOf(metadata: object): string {
  const kept = Object.entries(metadata).filter(([key]) => !key.startsWith("tokenizer."));
  const plain = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? Number(value) : value);
  return JSON.stringify(Object.fromEntries(kept), plain, 1);
}

function tensorBytes({ tensorInfos, tensorDataOffset }: GGUFParseOutput, fileBytes: number): number | null {
  const start = Number(tensorDataOffset);
  const lastTensor = tensorInfos.reduce((most, { offset }) => Math.max(most, Number(offset)), 0);
  return tensorInfos.length > 0 && fileBytes > start + lastTensor ? fileBytes - start : null;
}

/** Where the metadata ends at the latest: the descriptions of the tensors follow it, then padding, then their data. */
function metadataEnd({ metadata, tensorInfos, tensorDataOffset }: GGUFParseOutput): number {
  const sizeBytes = metadata.version === 1 ? 4 : 8;
  const described = tensorInfos.reduce((total, { name, shape }) => {
    // Length and text of the name, number of dimensions, dimensions, type, offset.
    return total + sizeBytes + new TextEncoder().encode(name).length + 4 + shape.length * sizeBytes + 4 + 8;
  }, 0);
  return Number(tensorDataOffset) - described;
}
