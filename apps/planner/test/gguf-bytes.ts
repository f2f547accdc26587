type Value = number | string | boolean | readonly (number | string | boolean)[];

/** Types of values in a GGUF file. */
const UINT32 = 4;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

/** A GGUF file of version 3: its header with these keys, one tensor's description, and `dataBytes` zeros as its data. */
export function ggufBytes(metadata: Readonly<Record<string, Value>>, dataBytes = 0): Buffer {
  const entries = Object.entries(metadata).flatMap(([key, value]) => [
    text(key),
    uint32(typeOf(value)),
    encoded(value),
  ]);
  const tensor = [text("token_embd.weight"), uint32(1), uint64(32), uint32(0), uint64(0)];
  const head = [Buffer.from("GGUF"), uint32(3), uint64(1), uint64(Object.keys(metadata).length), ...entries, ...tensor];
  const header = Buffer.concat(head);
  const padding = Buffer.alloc((32 - (header.length % 32)) % 32);
  return Buffer.concat([header, padding, Buffer.alloc(dataBytes)]);
}

function typeOf(value: Value): number {
  if (typeof value === "number") return UINT32;
  if (typeof value === "boolean") return BOOL;
  return typeof value === "string" ? STRING : ARRAY;
}

function encoded(value: Value): Buffer {
  if (typeof value === "number") return uint32(value);
  if (typeof value === "boolean") return Buffer.from([Number(value)]);
  if (typeof value === "string") return text(value);
  const [first = 0] = value;
  return Buffer.concat([uint32(typeOf(first)), uint64(value.length), ...value.map(encoded)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
