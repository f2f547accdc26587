import { parseBytes } from "@kv/config";
import { CARDS, findCard } from "@kv/config/presets";
import { openDevice } from "@kv/device-memory";
import { InputError } from "../input-error.ts";

/** Bytes of one device and where that figure is from. */
export interface Budget {
  readonly bytes: number;
  /** "NVIDIA L4", "free on cuda:0 now"; null for a size that was given. */
  readonly from: string | null;
}

/**
 * The budget that the options name: a size or a card, or what is free on a device now.
 *
 * @throws InputError unless it is exactly one of them; what opening the device throws
 */
export function findBudget({ vram, device }: { vram?: string; device?: string }): Budget {
  if (vram !== undefined && device === undefined) return budgetOf(vram);
  if (device !== undefined && vram === undefined) return freeOn(device);
  throw new InputError("--vram", "a plan needs a budget: either --vram with a size or a card, or --device");
}

function budgetOf(text: string): Budget {
  const card = findCard(text);
  if (card !== undefined) return { bytes: card.bytes, from: card.name };
  try {
    return { bytes: parseBytes(text), from: null };
  } catch {
    const cards = CARDS.map(({ id }) => id).join(", ");
    throw new InputError("--vram", `--vram ${text} is neither a size such as 80GiB nor a card; cards are ${cards}`);
  }
}

function freeOn(name: string): Budget {
  using device = openDevice(name);
  return { bytes: device.memoryInfo().freeBytes, from: `free on ${device.name} now` };
}
