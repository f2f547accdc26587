import { isKvDtype } from "../dtype.ts";
import { InvalidConfigError } from "../errors.ts";
import { exactProduct } from "../exact.ts";
import type { KvType } from "../format.ts";
import { roundUp } from "../stored-tokens.ts";
import { Knobs } from "./knobs.ts";
import type { RuleRequest } from "./rule.ts";

/** Cells are padded to this in every cache: https://github.com/ggml-org/llama.cpp/issues/17037 */
const CELL_PADDING = 256;

const KNOBS = ["ctxSize", "parallel", "kvUnified", "batchSize", "ubatchSize", "swaFull", "flashAttn", "rsSeq", "mla"];

/** llama.cpp's knobs, named as its flags are, and what follows from them. */
export interface LlamaCppPlan {
  /** `--ctx-size`: tokens of all sequences together. Tokens × sequences unless given. */
  readonly ctxSize: number;
  /** `--parallel`. The sequences asked for unless given. */
  readonly parallel: number;
  /** `--kv-unified`: one pool for all sequences instead of a stream each. Off unless given. */
  readonly kvUnified: boolean;
  /** `--ubatch-size`, 512 unless given; never more than `--batch-size` (2048) or the context. */
  readonly ubatchSize: number;
  /** `--swa-full`: windowed layers get as many cells as the others. Off unless given. */
  readonly swaFull: boolean;
  /** `--flash-attn`. On unless given. */
  readonly flashAttn: boolean;
  /** Snapshots of recurrent state for speculative decoding (`n_rs_seq`). 0 unless given. */
  readonly rsSeq: number;
  /** Off for files converted before latent attention was known: keys and values of every head are stored. */
  readonly mla: boolean;
  readonly cacheTypeK: KvType;
  readonly cacheTypeV: KvType;
  /** Cells of one stream for full layers: `n_ctx_seq`. */
  readonly seqCells: number;
  /** Streams of a cache: one if unified, otherwise one per sequence. */
  readonly streams: number;
}

/** Reads the knobs of a request. @throws InvalidConfigError if one is wrong or two contradict */
export function llamaCppPlan({ tokens, sequences, format, knobs: given }: RuleRequest): LlamaCppPlan {
  const knobs = new Knobs(given, KNOBS);
  const parallel = knobs.count("parallel", Math.max(1, sequences));
  const ctxSize = knobs.count("ctxSize", Math.max(1, exactProduct("the context", tokens, parallel)));
  const kvUnified = knobs.flag("kvUnified", false);
  const flashAttn = knobs.flag("flashAttn", true);
  if (!flashAttn && !isKvDtype(format.values)) {
    throw new InvalidConfigError("format.values", format.values, "an unquantised type when flash attention is off");
  }
  if (format.exemptLayers.length > 0) {
    throw new InvalidConfigError(
      "format.exemptLayers",
      format.exemptLayers,
      "empty: llama.cpp has one type for all layers",
    );
  }
  const paddedCtx = roundUp(ctxSize, CELL_PADDING);
  return {
    ctxSize,
    parallel,
    kvUnified,
    flashAttn,
    ubatchSize: Math.min(knobs.count("ubatchSize", 512), knobs.count("batchSize", 2048), ctxSize),
    swaFull: knobs.flag("swaFull", false),
    rsSeq: knobs.count("rsSeq", 0, 0),
    mla: knobs.flag("mla", true),
    cacheTypeK: format.keys,
    cacheTypeV: format.values,
    seqCells: kvUnified ? paddedCtx : roundUp(Math.floor(paddedCtx / parallel), CELL_PADDING),
    streams: kvUnified ? 1 : parallel,
  };
}

/** Cells of one stream for windowed layers: the window of every sequence in it and one micro-batch. */
export function windowCells(plan: LlamaCppPlan, windowTokens: number): number {
  if (plan.swaFull) return plan.seqCells;
  const windows = windowTokens * (plan.kvUnified ? plan.parallel : 1);
  return roundUp(Math.min(plan.seqCells, windows + plan.ubatchSize), CELL_PADDING);
}

/** Cells of one stream for entries that stand for `tokensPerEntry` tokens each. */
export function entryCells(plan: LlamaCppPlan, tokensPerEntry: number): number {
  return roundUp(Math.ceil(plan.seqCells / tokensPerEntry), CELL_PADDING);
}
