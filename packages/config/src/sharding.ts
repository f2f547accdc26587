import { InvalidConfigError } from "./errors.ts";
import { checkCount, isRecord } from "./kv-cache-config.ts";
import type { KeyValueWidths, LayerShape, StateLayer } from "./layer-shape.ts";
import type { ModelShape } from "./model-shape.ts";

/** Over how many devices a cache is spread, and how. Each is 1 unless given. */
export interface Sharding {
  /** Ranks that share out the KV heads; with more ranks than heads, heads are copied. Latents are never split. */
  readonly tensor?: number;
  /** Stages that share out the layers. */
  readonly pipeline?: number;
  /** Replicas that share out the sequences. */
  readonly data?: number;
  /** Ranks that share out the tokens of a sequence. */
  readonly context?: number;
}

const SHARDING_FIELDS = ["tensor", "pipeline", "data", "context"] as const;

/** Checks a sharding and fills it in. @throws InvalidConfigError */
export function resolveSharding(sharding: Sharding = {}): Required<Sharding> {
  const names = SHARDING_FIELDS.join(", ");
  if (!isRecord(sharding as unknown)) throw new InvalidConfigError("sharding", sharding, `an object with ${names}`);
  for (const [field, value] of Object.entries(sharding)) {
    const isKnown = SHARDING_FIELDS.some((known) => known === field);
    if (!isKnown) throw new InvalidConfigError(`sharding.${field}`, value, `one of ${names}`);
    if (value !== undefined) checkRanks(`sharding.${field}`, value);
  }
  const { tensor = 1, pipeline = 1, data = 1, context = 1 } = sharding;
  return { tensor, pipeline, data, context };
}

function checkRanks(field: string, value: unknown): void {
  checkCount(field, value);
  if (value > 65_536) throw new InvalidConfigError(field, value, "at most 65536");
}

/** The layer as one of `ranks` tensor-parallel ranks holds it. The widest rank where heads do not divide. */
export function layerOfRank(layer: LayerShape, ranks: number): LayerShape {
  if (ranks === 1) return layer;
  switch (layer.kind) {
    case "full":
    case "sliding":
    case "chunked":
    case "cross":
      return { ...layer, numKvHeads: Math.ceil(layer.numKvHeads / ranks) };
    case "latent":
      return { ...layer, expanded: headsOfRank(layer.expanded, ranks) };
    case "state":
      return stateOfRank(layer, ranks);
    default:
      return layer;
  }
}

function headsOfRank(widths: KeyValueWidths, ranks: number): KeyValueWidths {
  return { ...widths, numKvHeads: Math.ceil(widths.numKvHeads / ranks) };
}

/** Channels are split; groups are copied where there are fewer of them than ranks. */
function stateOfRank(layer: StateLayer, ranks: number): StateLayer {
  const { count, width } = layer.convGroups;
  const inner = Math.ceil((layer.convWidth - count * width) / ranks);
  const groups = Math.ceil(count / ranks);
  return {
    ...layer,
    convWidth: inner + groups * width,
    convGroups: { count: groups, width },
    stateElements: Math.ceil(layer.stateElements / ranks),
  };
}

/**
 * How many of `numLayers` model layers each of `numStages` pipeline stages holds. What does not divide goes to the stages
 * before the last one, from the back, so that the first and the last, which also hold embeddings, stay small (vLLM's rule).
 *
 * @throws InvalidConfigError if there are more stages than layers
 */
export function layersPerStage(numLayers: number, numStages: number): readonly number[] {
  if (numStages > numLayers)
    throw new InvalidConfigError("sharding.pipeline", numStages, `at most ${numLayers}, the layers`);
  const counts = Array.from({ length: numStages }, () => Math.floor(numLayers / numStages));
  const rest = numLayers % numStages;
  for (let i = 0; i < rest; i += 1) {
    const stage = numStages - 2 - i;
    counts[stage] = (counts[stage] ?? 0) + 1;
  }
  return counts;
}

/** The shape that each pipeline stage's tensor-parallel rank holds, one per stage. */
export function rankShapes(shape: ModelShape, sharding: Required<Sharding>): readonly ModelShape[] {
  if (sharding.tensor === 1 && sharding.pipeline === 1) return [shape];
  const numLayers = shape.layers.reduce((most, layer) => Math.max(most, layer.index + 1), 1);
  let first = 0;
  return layersPerStage(numLayers, sharding.pipeline).map((count) => {
    const end = first + count;
    const layers = shape.layers.filter(({ index }) => index >= first && index < end);
    first = end;
    return { ...shape, layers: layers.map((layer) => layerOfRank(layer, sharding.tensor)) };
  });
}
