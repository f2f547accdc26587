import { writeFileSync } from "node:fs";
import { type GGUFTypedMetadata, GGUFValueType, serializeGgufMetadata } from "@huggingface/gguf";

/** Bytes that stand behind the header in place of tensors. */
const TENSOR_BYTES = 4096;

/** Writes a GGUF file with the geometry of Qwen2.5-0.5B and no tensors; gives its size. */
export function writeGguf(file: string): number {
  const count = (value: number): object => ({ value, type: GGUFValueType.UINT32 });
  const header = serializeGgufMetadata({
    version: count(3),
    tensor_count: { value: 0n, type: GGUFValueType.UINT64 },
    kv_count: { value: 6n, type: GGUFValueType.UINT64 },
    "general.architecture": { value: "qwen2", type: GGUFValueType.STRING },
    "qwen2.block_count": count(24),
    "qwen2.context_length": count(32_768),
    "qwen2.embedding_length": count(896),
    "qwen2.attention.head_count": count(14),
    "qwen2.attention.head_count_kv": count(2),
  } as unknown as GGUFTypedMetadata);
  writeFileSync(file, Buffer.concat([header, Buffer.alloc(TENSOR_BYTES)]));
  return header.byteLength + TENSOR_BYTES;
}
