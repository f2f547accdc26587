import type { ConfigReader } from "../config-reader.ts";
import type { LayerShape } from "../layer-shape.ts";
import { full, layers, numLayersOf, sliding, widths } from "./attention.ts";
import { type Families, named } from "./family.ts";
import { type Reach, reachesBy, reachesOf } from "./layer-types.ts";

/** Gemma 3n and Gemma 4: interleaved windows, and last layers that read the caches of earlier ones. */
function sharingGemma(config: ConfigReader): LayerShape[] {
  const numLayers = numLayersOf(config);
  const reaches = reachesOf(config, numLayers) ?? everyFifth(config, numLayers);
  const numOwn = numLayers - numSharedLayers(config, numLayers);
  const windowWidths = widths(config.count("num_key_value_heads"), config.count("head_dim"));
  const fullWidths = widths(
    config.count("num_global_key_value_heads", "num_key_value_heads"),
    config.count("global_head_dim", "head_dim"),
  );
  const windowTokens = config.tokens("sliding_window");
  return layers(numLayers, (index) => {
    if (index >= numOwn) return { kind: "shared", index, readsLayer: lastOwn(config, reaches, numOwn, index) };
    return reaches[index] === "full" ? full(index, fullWidths) : sliding(index, windowWidths, windowTokens);
  });
}

function everyFifth(config: ConfigReader, numLayers: number): readonly Reach[] {
  config.assume(`${config.at("layer_types")} is missing: every fifth layer full, the rule of ${config.modelType}`);
  return reachesBy(numLayers, (index) => (index + 1) % 5 === 0);
}

function numSharedLayers(config: ConfigReader, numLayers: number): number {
  const shared = config.extraLayers("num_kv_shared_layers");
  return shared < numLayers
    ? shared
    : config.invalid("num_kv_shared_layers", shared, `fewer than the ${numLayers} layers there are`);
}

function lastOwn(config: ConfigReader, reaches: readonly Reach[], numOwn: number, index: number): number {
  const layer = reaches.slice(0, numOwn).lastIndexOf(reaches[index] as Reach);
  if (layer >= 0) return layer;
  return config.invalid(
    "num_kv_shared_layers",
    reaches.length - numOwn,
    `small enough to leave a ${reaches[index]} layer`,
  );
}

/** Families of Google's Gemma that share caches between layers. */
export const gemmaFamilies = (): Families => ({
  ...named(["gemma3n_text"], {
    read: sharingGemma,
    defaults: { num_key_value_heads: 2, head_dim: 256, sliding_window: 512, num_kv_shared_layers: 15 },
  }),
  ...named(["gemma4_text"], { read: sharingGemma }),
});
