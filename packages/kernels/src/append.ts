import type { MemoryRegion, Stream } from "@kv/device-memory";
import { native } from "@kv/native";
import { describeElements } from "./attention-options.ts";
import { checkTokens } from "./check-contents.ts";
import { ShapeError } from "./errors.ts";
import type { KvView } from "./kv-view.ts";
import { describeRotary, type RotaryInput } from "./rotary.ts";

/** New tokens, in memory of the view's device or pinned, in the view's dtype, packed. */
export interface AppendInput {
  /** [numTokens, numKvHeads, key width] */
  readonly keys: MemoryRegion;
  /** [numTokens, numKvHeads, value width] */
  readonly values: MemoryRegion;
  /**
   * [numTokens] int32: the slot of each token, -1 to skip it; a slot that the view does not have is skipped too. Or the
   * slot of the first token, when the others follow it.
   */
  readonly slots: MemoryRegion | number;
  /** Rotates the keys on their way, and a query with them. The cache must be fp32, fp16 or bf16. */
  readonly rotary?: RotaryInput;
}

/**
 * Writes new tokens into their slots, all heads, keys and values. Queued on `stream`; the inputs may be disposed at once.
 * @throws ShapeError if the inputs are not whole tokens, or not equally many
 * @throws OutOfBoundsError if the slots, or positions of a table, from a first one on go past the end
 * @throws DtypeError, InvalidArgumentError if the rotary embedding does not fit the view
 */
export function append(view: KvView, input: AppendInput, stream: Stream = view.device.defaultStream): void {
  const { keys, values, slots, rotary } = input;
  const numTokens = keys.sizeBytes / view.keyBytesPerToken;
  if (!Number.isInteger(numTokens)) {
    throw new ShapeError("keys", `whole tokens of ${view.keyBytesPerToken} bytes`, `${keys.sizeBytes} bytes`);
  }
  requireBytes("values", values.sizeBytes, numTokens * view.valueBytesPerToken);
  if (typeof slots !== "number") requireBytes("slots", slots.sizeBytes, numTokens * Int32Array.BYTES_PER_ELEMENT);
  if (rotary !== undefined) {
    appendRotary(view, input, numTokens, rotary, stream);
    return;
  }
  checkTokens(view, slots, undefined, 0, stream);
  native().append(
    view.handle,
    keys.handle,
    keys.offsetBytes,
    values.handle,
    values.offsetBytes,
    typeof slots === "number" ? null : slots.handle,
    typeof slots === "number" ? 0 : slots.offsetBytes,
    typeof slots === "number" ? slots : 0,
    numTokens,
    stream.handle,
  );
}

function appendRotary(
  view: KvView,
  { keys, values, slots }: AppendInput,
  numTokens: number,
  rotary: RotaryInput,
  stream: Stream,
): void {
  const description = {
    ...describeRotary(view, numTokens, rotary),
    numTokens,
    keys: { memory: keys.handle, offsetBytes: keys.offsetBytes },
    values: { memory: values.handle, offsetBytes: values.offsetBytes },
    slots: typeof slots === "number" ? slots : describeElements("slots", slots, numTokens),
  };
  const numPositions = description.cosinesAndSines === null ? 2 ** 31 : description.numPositions;
  checkTokens(view, slots, rotary.positions, numPositions, stream);
  native().appendRotary(view.handle, description, stream.handle);
}

function requireBytes(argument: string, foundBytes: number, wantedBytes: number): void {
  if (foundBytes !== wantedBytes) throw new ShapeError(argument, `${wantedBytes} bytes`, `${foundBytes} bytes`);
}
