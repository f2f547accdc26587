import { createCipheriv } from "node:crypto";
import type { KvDtype } from "@kv/config";
import type { HostElements } from "@kv/kernels";

/** The keys, or the values, of one layer. */
export interface TensorId {
  readonly layer: number;
  readonly tensor: "keys" | "values";
}

/** The first bits of the stream that belongs to a tensor. */
export type BitsOf = (id: TensorId, numBytes: number) => Uint8Array<ArrayBuffer>;

/**
 * Random bits for every tensor, the same for the same 16 bytes of seed. AES in counter mode gives them at the speed of
 * memory; the number of the tensor is in the half of the block that does not count, so no two streams meet.
 */
export function randomBitsFrom(seed: Uint8Array): BitsOf {
  return ({ layer, tensor }, numBytes) => {
    const block = Buffer.alloc(16);
    block.writeUInt32BE(layer, 0);
    block.writeUInt32BE(tensor === "keys" ? 1 : 2, 4);
    const bits = createCipheriv("aes-128-ctr", seed, block).update(new Uint8Array(numBytes));
    return new Uint8Array(bits); // a copy starts at an address that every element type can have
  };
}

/** Bits as elements of a dtype, in the form in which a cache takes them. */
export function elementsOf(bits: Uint8Array<ArrayBuffer>, dtype: KvDtype): HostElements {
  const { buffer, byteOffset, byteLength } = bits;
  switch (dtype) {
    case "fp32":
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    case "fp16":
    case "bf16":
      return new Uint16Array(buffer, byteOffset, byteLength / 2);
    case "fp8_e4m3":
    case "fp8_e5m2":
      return bits;
  }
}
