import type { KvDtype } from "@kv/config";
import type { LayerGroupSpec } from "@kv/paging";

/** How one token stands in a layer of a block. */
export interface TokenRow {
  readonly dtype: KvDtype;
  readonly numKvHeads: number;
  /** Elements of a head's key and of its value; of a latent layer, those of the latent and of the rotary key. */
  readonly keyDim: number;
  readonly valueDim: number;
  /** Keys and values of a token side by side, as a latent and its rotary key are; else all keys come before all values. */
  readonly isJoined: boolean;
}

/** What one sequence's state takes in a layer: the columns of the convolution, then the state. */
export interface StateBytes {
  readonly convBytes: number;
  readonly stateBytes: number;
}

/** Layers of equal geometry that keep the same tokens or states. */
export interface CacheGroup {
  readonly spec: LayerGroupSpec;
  /** Entries of the model's list of layers. */
  readonly layers: readonly number[];
  /** Bytes of one layer in a block: `tokensPerBlock` tokens, or one sequence's state. */
  readonly layerBytes: number;
  readonly holds: TokenRow | StateBytes;
}

/** Whether a group's blocks hold tokens; otherwise they hold states. */
export function holdsTokens(holds: CacheGroup["holds"]): holds is TokenRow {
  return "numKvHeads" in holds;
}
