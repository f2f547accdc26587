import type { ConfigReader } from "../config-reader.ts";
import type { LayerShape } from "../layer-shape.ts";
import { blockCount, fullOrNone, headDims, kvHeads, slidingLayers } from "./attention.ts";
import { hybridArchitectures } from "./hybrid.ts";

/** From this context on a `glm-dsa` file without a list of indexers is taken for GLM-5.2 (llama.cpp's `glm-dsa.cpp`). */
const GLM_5_2_CONTEXT = 1_048_576;

/** How the metadata of an architecture is read. */
export type ReadArchitecture = (config: ConfigReader) => LayerShape[];

const PLAIN =
  "llama deci falcon grok gpt2 gptj gptneox mpt baichuan starcoder starcoder2 refact bloom stablelm qwen qwen2 qwen2moe " +
  "qwen2vl qwen3 qwen3moe qwen3vl qwen3vlmoe phi2 phi3 phimoe plamo codeshell orion internlm2 minicpm gemma xverse command-r " +
  "dbrx olmo olmoe openelm arctic deepseek chatglm glm4 glm4moe bitnet jais nemotron exaone granite granitemoe smollm3 " +
  "ernie4_5 ernie4_5-moe hunyuan-moe hunyuan-dense seed_oss minimax-m2 mistral3 arcee apertus dots1 bailingmoe bailingmoe2 " +
  "grovemoe pangu-embedded cogvlm chameleon maincoder paddleocr hunyuan_vl";

/** Architectures whose windows follow a period that only the loader knows; 0 where the file must say it. */
const PERIOD_OF: Readonly<Record<string, number>> = {
  gemma2: 2,
  "gpt-oss": 2,
  cohere2: 4,
  olmo2: 4,
  afmoe: 4,
  exaone4: 4,
  "exaone-moe": 4,
  gemma3n: 5,
  gemma3: 6,
  gemma4: 0,
  mimo2: 0,
  step35: 0,
};

let known: Readonly<Record<string, ReadArchitecture>> | undefined;

/** Every architecture that can be read. Made on first use, so that a bundle without this reader drops it. */
export function architectures(): Readonly<Record<string, ReadArchitecture>> {
  known ??= {
    ...Object.fromEntries(PLAIN.split(" ").map((name) => [name, plain])),
    ...Object.fromEntries(Object.entries(PERIOD_OF).map(([name, period]) => [name, windowed(period || undefined)])),
    llama4: chunkedBetweenFull,
    deepseek2: latent,
    "deepseek2-ocr": withoutLatent,
    deepseek32: latent,
    "glm-dsa": latentSharingIndexers,
    minicpm3: latent,
    mistral4: latent,
    plm: withoutLatent,
    deepseek4: compressed,
    t5: decoderOfEncoder,
    ...hybridArchitectures(),
  };
  return known;
}

function plain(config: ConfigReader): LayerShape[] {
  if (config.has("attention.sliding_window") && config.modelType === "phi3") {
    config.assume("attention.sliding_window is taken as full attention, as llama.cpp serves this architecture");
    config.ignore("attention.sliding_window");
  }
  return everyLayerFull(config);
}

function everyLayerFull(config: ConfigReader): LayerShape[] {
  const numLayers = blockCount(config);
  const heads = kvHeads(config, numLayers);
  const dims = headDims(config, numLayers);
  return heads.map((numKvHeads, index) => fullOrNone(index, numKvHeads, dims));
}

/** Windows in some layers, which may have their own head sizes; the last layers may read the caches of earlier ones. */
function windowed(ownPeriod: number | undefined): ReadArchitecture {
  return (config) => {
    const windowTokens = config.optionalTokens("attention.sliding_window");
    config.ignore("attention.sliding_window_pattern");
    if (windowTokens === undefined) return everyLayerFull(config);
    const numLayers = blockCount(config);
    const heads = kvHeads(config, numLayers);
    const fullDims = headDims(config, numLayers);
    const windowDims = {
      keyDim: config.optionalCount("attention.key_length_swa") ?? fullDims.keyDim,
      valueDim: config.optionalCount("attention.value_length_swa") ?? fullDims.valueDim,
    };
    const slides = slidingLayers(config, numLayers, ownPeriod);
    return sharingLast(config, numLayers, slides, (index) => {
      const numKvHeads = heads[index] as number;
      if (!slides(index) || numKvHeads === 0) return fullOrNone(index, numKvHeads, fullDims);
      return { kind: "sliding", index, numKvHeads, ...windowDims, windowTokens };
    });
  };
}

/** The last `shared_kv_layers` read the last layer of their kind that has a cache of its own. */
function sharingLast(
  config: ConfigReader,
  numLayers: number,
  slides: (index: number) => boolean,
  layer: (index: number) => LayerShape,
): LayerShape[] {
  const shared = config.extraLayers("attention.shared_kv_layers");
  if (shared >= numLayers)
    config.invalid("attention.shared_kv_layers", shared, `fewer than the ${numLayers} layers there are`);
  const own = Array.from({ length: numLayers - shared }, (_, index) => layer(index));
  const rest = Array.from({ length: shared }, (_, i): LayerShape => {
    const index = own.length + i;
    const readsLayer = own.findLastIndex((_layer, place) => slides(place) === slides(index));
    if (readsLayer < 0)
      config.invalid("attention.shared_kv_layers", shared, "small enough to leave a layer of each kind");
    return { kind: "shared", index, readsLayer };
  });
  return [...own, ...rest];
}

/** Llama 4: every fourth layer is full, the others see chunks; the loader knows both. */
function chunkedBetweenFull(config: ConfigReader): LayerShape[] {
  const chunkTokens = config.optionalTokens("attention.chunk_size", "attention.sliding_window") ?? 8192;
  const period = 4;
  config.assume(`chunks of ${chunkTokens} in all layers but every ${period}th, the rule of llama4`);
  return everyLayerFull(config).map((layer, index) => {
    if (layer.kind !== "full" || (index + 1) % period === 0) return layer;
    const { numKvHeads, keyDim, valueDim } = layer;
    return { kind: "chunked", index, numKvHeads, keyDim, valueDim, chunkTokens };
  });
}

/** Latent attention. Files from before runtimes knew it have no `_mla` sizes, and run with keys and values per head. */
function latent(config: ConfigReader): LayerShape[] {
  const numLayers = blockCount(config);
  const latentDim = config.count("attention.kv_lora_rank");
  const keyDim = config.optionalCount("attention.key_length_mla");
  const indexerKeyDim = config.optionalCount("attention.indexer.key_length") ?? 0;
  if (keyDim === undefined) {
    config.assume(
      "no attention.key_length_mla: keys and values of every head are stored, as runtimes do for such files",
    );
    return everyLayerFull(config);
  }
  config.ignore("attention.head_count_kv", "attention.key_length", "attention.value_length");
  const expanded = {
    numKvHeads: config.count("attention.head_count"),
    keyDim,
    valueDim: config.count("attention.value_length_mla"),
  };
  const ropeDim = config.count("rope.dimension_count");
  return Array.from({ length: numLayers }, (_, index) => ({
    kind: "latent",
    index,
    latentDim,
    ropeDim,
    expanded,
    indexerKeyDim,
  }));
}

/** Files that describe a latent to architectures that store the keys and values of every head all the same. */
function withoutLatent(config: ConfigReader): LayerShape[] {
  config.ignore("attention.kv_lora_rank");
  return everyLayerFull(config);
}

/** GLM-5: an indexer in the layers that the file lists; in all of them, or as in GLM-5.2, where it lists none. */
function latentSharingIndexers(config: ConfigReader): LayerShape[] {
  const key = "attention.indexer.types";
  const types = config.list(key, blockCount(config), config.extraLayers("nextn_predict_layers"));
  types?.forEach((type, i) => {
    if (typeof type !== "boolean" && type !== 0 && type !== 1) config.invalid(`${key}[${i}]`, type, "true or false");
  });
  const isLong = (config.optionalTokens("context_length") ?? 0) >= GLM_5_2_CONTEXT;
  if (types === undefined && isLong)
    config.assume("an indexer in layers 0 and 1 and in every 4th from 2, as llama.cpp takes for GLM-5.2");
  const owns = (index: number): boolean => {
    if (types !== undefined) return types[index] === true || types[index] === 1;
    return !isLong || index < 2 || index % 4 === 2;
  };
  return latent(config).map((layer) =>
    layer.kind === "latent" && !owns(layer.index) ? { ...layer, indexerKeyDim: 0 } : layer,
  );
}

/** DeepSeek-V4: a window in every layer, and an entry for every 4 or 128 tokens in most. Keys and values are one tensor. */
function compressed(config: ConfigReader): LayerShape[] {
  const windowTokens = config.tokens("attention.sliding_window");
  const entryDim = config.count("attention.key_length");
  const indexDim = config.count("attention.indexer.key_length");
  config.ignore("attention.head_count_kv", "attention.value_length", "attention.sliding_window_pattern");
  return mainRatios(config).map((ratio, index) => {
    if (ratio === 0) return { kind: "sliding", index, numKvHeads: 1, keyDim: entryDim, valueDim: 0, windowTokens };
    if (ratio !== 4 && ratio !== 128)
      return config.unsupported(`attention.compress_ratios[${index}]`, ratio, "0, 4 or 128");
    const indexerKeyDim = ratio === 4 ? indexDim : 0;
    return { kind: "compressed", index, windowTokens, entryDim, tokensPerEntry: ratio, indexerKeyDim };
  });
}

/** The main stack's. Files that leave out the layers for further tokens count them all the same, and have their ratios. */
function mainRatios(config: ConfigReader): readonly unknown[] {
  const key = "attention.compress_ratios";
  const ratios = config.anyList(key) ?? config.missing([key], "a list with one ratio per layer");
  const count = config.layerCount("block_count");
  const leftOut = ratios.length >= count + config.extraLayers("nextn_predict_layers");
  const numLayers = leftOut ? count : blockCount(config);
  return ratios.length >= numLayers
    ? ratios.slice(0, numLayers)
    : config.invalid(key, ratios, `a list of ${numLayers}, one ratio per layer`);
}

/** T5: the decoder's own tokens and the encoder's. */
function decoderOfEncoder(config: ConfigReader): LayerShape[] {
  const numLayers = config.optionalLayerCount("decoder_block_count") ?? blockCount(config);
  const heads = kvHeads(config, blockCount(config))[0] as number;
  const dims = headDims(config, blockCount(config));
  return Array.from({ length: numLayers }, (_, index) => index).flatMap((index): LayerShape[] => [
    { kind: "full", index, numKvHeads: heads, ...dims, indexerKeyDim: 0 },
    { kind: "cross", index, numKvHeads: heads, ...dims, encoderTokens: null },
  ]);
}
