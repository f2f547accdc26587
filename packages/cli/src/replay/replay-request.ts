import type { KvDtype } from "@kv/config";
import type { PolicyName, Trace } from "@kv/paging/replay";
import type { ReplayModel } from "./replay-model.ts";

/** A replay with everything found that it needs. */
export interface ReplayRequest {
  /** The file as it was given. */
  readonly name: string;
  readonly trace: Trace;
  readonly mode: "sequential" | "timed";
  readonly policy: PolicyName;
  readonly blocks: number | "unlimited";
  readonly tokensPerBlock: number;
  readonly model: ReplayModel | undefined;
  readonly dtype: KvDtype;
  /** Sequences that the pool of a model with several kinds of layers is planned for. */
  readonly sequences: number;
  /** Tokens between the states that are kept for reuse, of a model that has states. */
  readonly checkpointTokens: number;
  readonly prefillRate: number;
  readonly decodeRate: number;
  readonly maxSequences: number;
  /** Pool sizes to replay too; `"auto"` chooses them. */
  readonly sweep: readonly number[] | "auto" | undefined;
}
