import { exactProduct, exactSum } from "./exact.ts";
import { indexerKeyBytes, type KvFormat, latentRowBytes, plainBytes, rowBytes, typesOfLayer } from "./format.ts";
import { groupLayers, type LayerGroup } from "./layer-groups.ts";
import type { LayerShape, StateLayer } from "./layer-shape.ts";
import { placesOf, roundUp } from "./stored-tokens.ts";

/** One sequence, as a layer's size depends on it. */
export interface SequenceLength {
  readonly tokens: number;
  /** Encoder tokens where the model does not fix them. */
  readonly encoderTokens: number;
  /** Tokens are kept in blocks of this many; 1 for exact lengths. */
  readonly tokensPerBlock: number;
}

/** Bytes of one token in a layer. */
export interface TokenRow {
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly indexerBytes: number;
}

/** Layers that take the same bytes: of equal geometry, and with the same types. */
export function groupLayersByFormat(layers: readonly LayerShape[], { exemptLayers }: KvFormat): readonly LayerGroup[] {
  if (exemptLayers.length === 0) return groupLayers(layers);
  return groupLayers(layers, ({ index }) => (exemptLayers.includes(index) ? "exempt" : ""));
}

const NO_ROW: TokenRow = { keyBytes: 0, valueBytes: 0, indexerBytes: 0 };

/** What one token (of the encoder, in a cross layer) takes; for a compressed layer, one token of its window. */
export function tokenRow(layer: LayerShape, format: KvFormat): TokenRow {
  const [keys, values] = typesOfLayer(format, layer.index);
  switch (layer.kind) {
    case "full":
    case "sliding":
    case "chunked":
    case "cross":
      return {
        keyBytes: rowBytes(keys, layer.numKvHeads, layer.keyDim),
        valueBytes: rowBytes(values, layer.numKvHeads, layer.valueDim),
        indexerBytes: layer.kind === "full" ? indexerKeyBytes(format.indexer, layer.indexerKeyDim) : 0,
      };
    case "latent": {
      const indexerBytes = indexerKeyBytes(format.indexer, layer.indexerKeyDim);
      return { keyBytes: latentRowBytes(keys, layer.latentDim, layer.ropeDim), valueBytes: 0, indexerBytes };
    }
    case "compressed":
      return { keyBytes: rowBytes(keys, 1, layer.entryDim), valueBytes: 0, indexerBytes: 0 };
    default:
      return NO_ROW;
  }
}

/** Bytes of a row in all. */
export function rowTotal({ keyBytes, valueBytes, indexerBytes }: TokenRow): number {
  return keyBytes + valueBytes + indexerBytes;
}

/** Bytes of one compressed entry with its indexer key; 0 for other layers. */
export function entryBytes(layer: LayerShape, format: KvFormat): number {
  if (layer.kind !== "compressed") return 0;
  return tokenRow(layer, format).keyBytes + indexerKeyBytes(format.indexer, layer.indexerKeyDim);
}

/** Bytes of a recurrent layer for one sequence. */
export function stateBytes(layer: StateLayer, format: KvFormat): number {
  const conv = plainBytes("a convolution's columns", format.conv, layer.convWidth, layer.convColumns);
  return exactSum("a state", [conv, plainBytes("a state", format.state, layer.stateElements)]);
}

/**
 * Bytes that one sequence takes in one layer.
 *
 * @throws SizeOverflowError beyond `Number.MAX_SAFE_INTEGER`
 */
export function layerBytes(layer: LayerShape, format: KvFormat, length: SequenceLength): number {
  if (layer.kind === "state") return stateBytes(layer, format);
  const row = rowTotal(tokenRow(layer, format));
  if (layer.kind === "cross") return exactProduct("a layer", row, layer.encoderTokens ?? length.encoderTokens);
  const ownBytes = exactProduct("a layer", row, placesOf(layer, length.tokens, length.tokensPerBlock));
  if (layer.kind !== "compressed") return ownBytes;
  const entries = Math.floor(roundUp(length.tokens, length.tokensPerBlock) / layer.tokensPerEntry);
  return exactSum("a layer", [ownBytes, exactProduct("a layer", entryBytes(layer, format), entries)]);
}

/** Bytes that one more token adds to a layer once its windows are full. A fraction where entries stand for several tokens. */
export function layerGrowthBytes(layer: LayerShape, format: KvFormat): number {
  if (layer.kind === "full" || layer.kind === "latent") return rowTotal(tokenRow(layer, format));
  return layer.kind === "compressed" ? entryBytes(layer, format) / layer.tokensPerEntry : 0;
}
