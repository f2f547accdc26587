import { NotRunByEngineError } from "../errors.ts";
import type { KvFormat } from "../format.ts";
import { groupLayers } from "../layer-groups.ts";
import type { LayerShape } from "../layer-shape.ts";
import type { ModelShape } from "../model-shape.ts";
import { roundUp } from "../stored-tokens.ts";

/** What FlashMLA packs an entry of DeepSeek-V4 into: 448 values of fp8, 64 rotary values of bf16, 8 bytes of scales. */
export const PACKED_ENTRY_BYTES = 584;

/** Values of the one entry that can be packed so. */
const PACKED_ENTRY_DIM = 512;

/** Pages of packed entries start on multiples of this. */
const PAGE_ALIGNMENT = 576;

/** Bytes of a page of packed entries or of a compressor's state. */
export function alignedPageBytes(bytes: number): number {
  return roundUp(bytes, PAGE_ALIGNMENT);
}

/** True if a model has layers that compress. */
export function isCompressed({ layers }: ModelShape): boolean {
  return groupLayers(layers).some(({ layer }) => layer.kind === "compressed");
}

/**
 * Refuses compressed models of another geometry than DeepSeek-V4's, which these engines' kernels are written for.
 *
 * @throws NotRunByEngineError
 */
export function checkDeepseekV4(rule: { readonly name: string; readonly version: string }, shape: ModelShape): void {
  const other = groupLayers(shape.layers).find(({ layer }) => !isOfDeepseekV4(layer));
  if (other === undefined) return;
  const reason = "beside compressed layers it has windows and entries of 512 values, for 4 or 128 tokens each, only";
  throw new NotRunByEngineError(rule.name, rule.version, shape.modelType, other.layer, reason);
}

function isOfDeepseekV4(layer: LayerShape): boolean {
  if (layer.kind === "sliding") return layer.numKvHeads * layer.keyDim === PACKED_ENTRY_DIM && layer.valueDim === 0;
  if (layer.kind !== "compressed" || layer.entryDim !== PACKED_ENTRY_DIM) return false;
  return layer.tokensPerEntry === 4 || (layer.tokensPerEntry === 128 && layer.indexerKeyDim === 0);
}

/** What a report says of the types when the format asks for others. */
export function packedEntryAssumption(rule: string, { keys }: KvFormat): string[] {
  if (keys === "fp8_e4m3" || keys === "fp8_ds_mla") return [];
  return [
    `${rule} packs every entry into ${PACKED_ENTRY_BYTES} bytes (fp8, bf16 and scales), whatever type is asked for`,
  ];
}
