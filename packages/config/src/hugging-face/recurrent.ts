import type { ConfigReader } from "../config-reader.ts";
import type { StateLayer, StateMechanism } from "../layer-shape.ts";
import { hiddenWidthOf } from "./attention.ts";

/** A state layer that stands nowhere yet. */
export type State = Omit<StateLayer, "index">;

const NO_GROUPS = { count: 0, width: 0 } as const;

/** A state of `stateElements`, and `kernel - 1` columns of `convWidth` channels for the convolution. */
export function state(mechanism: StateMechanism, convWidth: number, kernel: number, stateElements: number): State {
  return { kind: "state", mechanism, convWidth, convColumns: kernel - 1, convGroups: NO_GROUPS, stateElements };
}

/** That state in layer `index`. */
export function stateAt(index: number, each: State): StateLayer {
  const { mechanism, convWidth, convColumns, convGroups, stateElements } = each;
  return { kind: "state", index, mechanism, convWidth, convColumns, convGroups, stateElements };
}

/** Mamba-1: an inner width of `expand` × hidden. */
export function mamba1(inner: number, kernel: number, stateDim: number): State {
  return state("mamba1", inner, kernel, inner * stateDim);
}

/** Mamba-2: the convolution also runs over both projections of every group. */
export function mamba2(inner: number, groups: number, stateDim: number, kernel: number): State {
  const convGroups = { count: groups, width: 2 * stateDim };
  const convWidth = inner + groups * convGroups.width;
  return {
    kind: "state",
    mechanism: "mamba2",
    convWidth,
    convColumns: kernel - 1,
    convGroups,
    stateElements: inner * stateDim,
  };
}

/** `expand` × hidden width, or the inner width that the file gives. */
export function innerWidth(config: ConfigReader, key: string, ...expandKeys: readonly string[]): number {
  return config.optionalCount(key) ?? config.count(...expandKeys) * hiddenWidthOf(config);
}

/** Mamba-2 under the keys of Granite 4, Bamba and Falcon-H1. */
export function mamba2ByHeads(config: ConfigReader): State {
  const inner = config.optionalCount("mamba_d_ssm") ?? config.count("mamba_n_heads") * config.count("mamba_d_head");
  return mamba2(inner, config.count("mamba_n_groups"), config.count("mamba_d_state"), config.count("mamba_d_conv"));
}

/** Gated delta net: Qwen3-Next, Qwen3.5 and Olmo-Hybrid. */
export function gatedDeltaNet(config: ConfigReader): State {
  const keyDim = config.count("linear_key_head_dim");
  const valueDim = config.count("linear_value_head_dim");
  const keyHeads = config.count("linear_num_key_heads");
  const valueHeads = config.count("linear_num_value_heads");
  const convWidth = 2 * keyHeads * keyDim + valueHeads * valueDim;
  return state("gated-delta-net", convWidth, config.count("linear_conv_kernel_dim"), valueHeads * keyDim * valueDim);
}
