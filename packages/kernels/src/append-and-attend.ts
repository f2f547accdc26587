import { InvalidArgumentError, type MemoryRegion, type Stream } from "@kv/device-memory";
import { native } from "@kv/native";
import { type AppendInput, append } from "./append.ts";
import { checkAttention } from "./check-contents.ts";
import { type DecodeAttentionInput, describeDecodeAttention } from "./decode-attention.ts";
import type { KvView } from "./kv-view.ts";
import { describePrefillAttention, type PrefillAttentionInput } from "./prefill-attention.ts";

/**
 * `append`, then the attention of the appended tokens: prefill attention where `queryOffsets` are given, else decode
 * attention. Shapes and types of both are checked before either is queued.
 * @throws as `append`, `decodeAttention` and `prefillAttention`
 */
export function appendAndAttend(
  view: KvView,
  tokens: AppendInput,
  attention: DecodeAttentionInput | PrefillAttentionInput,
  stream: Stream = view.device.defaultStream,
): void {
  for (const region of [attention.query, tokens.keys, tokens.values]) requireApart(attention.output, region);
  if ("queryOffsets" in attention) {
    const description = describePrefillAttention(view, attention);
    checkAttention(view, attention, description, stream);
    append(view, tokens, stream);
    native().prefillAttention(view.handle, description, stream.handle);
  } else {
    const description = describeDecodeAttention(view, attention);
    checkAttention(view, attention, description, stream);
    append(view, tokens, stream);
    native().decodeAttention(view.handle, description, stream.handle);
  }
}

function requireApart(output: MemoryRegion, read: MemoryRegion): void {
  if (output.handle !== read.handle) return;
  const ends = (region: MemoryRegion): number => region.offsetBytes + region.sizeBytes;
  if (output.offsetBytes >= ends(read) || read.offsetBytes >= ends(output)) return;
  throw new InvalidArgumentError("output: overlaps the query, the keys or the values", "output");
}
