import { createRequire } from "node:module";
import path from "node:path";

/**
 * Makes the fault-injecting stand-in for the NVIDIA driver the one that this process loads. It is no GPU: it serves host
 * memory, and the references of our kernels in place of the kernels. Call before a device is opened.
 */
export function useFakeDriver(settings: { devices?: number; bytes?: number } = {}): void {
  const folder = path.dirname(createRequire(import.meta.url).resolve("@kv/native/package.json"));
  process.env["KV_LIBCUDA"] = path.join(folder, "build", "Release", "libkv_fake_cuda.so");
  process.env["KV_FAKE_CUDA_DEVICES"] = String(settings.devices ?? 1);
  process.env["KV_FAKE_CUDA_BYTES"] = String(settings.bytes ?? 2 ** 30);
}

let numRounds = 0;

/** Makes the n-th driver call from now on fail; 0 for none. */
export function failAtDriverCall(n: number): void {
  numRounds++;
  process.env["KV_FAKE_CUDA_FAIL_AT"] = `round-${numRounds}:${n}`;
}
