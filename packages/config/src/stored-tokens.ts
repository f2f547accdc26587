import type { LayerShape } from "./layer-shape.ts";

/** `value` rounded up to a multiple of `step`. */
export function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

/**
 * Token places that a window of `windowTokens` takes at most after `tokens`, in blocks of `tokensPerBlock`. A window does
 * not start on a block's edge: it reaches into one block more than it fills.
 */
export function windowPlaces(tokens: number, windowTokens: number, tokensPerBlock: number): number {
  if (tokens <= windowTokens) return roundUp(tokens, tokensPerBlock);
  const most = (Math.ceil((windowTokens - 1) / tokensPerBlock) + 1) * tokensPerBlock;
  return Math.min(roundUp(tokens, tokensPerBlock), most);
}

/** Token places of the current chunk at most. Chunks start on a block's edge when blocks divide them. */
export function chunkPlaces(tokens: number, chunkTokens: number, tokensPerBlock: number): number {
  if (chunkTokens % tokensPerBlock !== 0) return windowPlaces(tokens, chunkTokens, tokensPerBlock);
  return roundUp(Math.min(tokens, chunkTokens), tokensPerBlock);
}

/** Token places that a layer takes for one sequence of `tokens`; 0 for layers that keep no tokens of their own. */
export function placesOf(layer: LayerShape, tokens: number, tokensPerBlock: number): number {
  switch (layer.kind) {
    case "full":
    case "latent":
      return roundUp(tokens, tokensPerBlock);
    case "sliding":
    case "compressed":
      return windowPlaces(tokens, layer.windowTokens, tokensPerBlock);
    case "chunked":
      return chunkPlaces(tokens, layer.chunkTokens, tokensPerBlock);
    default:
      return 0;
  }
}
