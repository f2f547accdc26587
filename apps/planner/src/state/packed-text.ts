/** More text than any file this page reads has; a link that unpacks to more is none of ours. */
const MOST_BYTES = 2 ** 22;

/** Text as a link can carry it: UTF-8, deflated, in the alphabet of base64url. */
export async function packText(text: string): Promise<string> {
  const packed = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"));
  return btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** The text of a `packText`; null if this is none, such as the first half of a link. */
export async function unpackText(packed: string): Promise<string | null> {
  try {
    const binary = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    const text = await through(bytes, new DecompressionStream("deflate-raw"));
    return new TextDecoder("utf-8", { fatal: true }).decode(text);
  } catch {
    return null;
  }
}

async function through(bytes: Uint8Array<ArrayBuffer>, stage: GenericTransformStream): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(stage as ReadableWritablePair<Uint8Array, Uint8Array>);
  const out = new Uint8Array(await new Response(stream.pipeThrough(atMost(MOST_BYTES))).arrayBuffer());
  return out;
}

/** A stage that fails beyond so many bytes: a short text can unpack to a very long one. */
function atMost(limit: number): TransformStream<Uint8Array, Uint8Array> {
  let seen = 0;
  return new TransformStream({
    transform(chunk, controller) {
      seen += chunk.length;
      if (seen > limit) controller.error(new RangeError(`more than ${limit} bytes`));
      else controller.enqueue(chunk);
    },
  });
}
