import { packText, unpackText } from "./packed-text.ts";
import { DEFAULT_STATE, FIELD_NAMES, type PlannerState } from "./planner-state.ts";

/** Longer than any text this page takes would make: what is beyond it is not read. */
const LONGEST_LINK = 2 ** 20;

/** A state as the fragment of a link, without `#`: only what differs from the page's first state, `source` packed. */
export async function linkOf(state: PlannerState): Promise<string> {
  const link = new URLSearchParams();
  for (const field of FIELD_NAMES) {
    if (state[field] === DEFAULT_STATE[field]) continue;
    link.set(field, field === "source" ? await packText(state.source) : state[field]);
  }
  for (const [knob, value] of Object.entries(state.knobs)) if (value !== "") link.set(knob, value);
  // Slashes and colons are allowed in a fragment, and names are easier to read with them.
  return link.toString().replaceAll("%2F", "/").replaceAll("%3A", ":");
}

/**
 * The state that a fragment stands for. What it does not say is as in the page's first state; what it says wrong is kept
 * for the page to show. A `source` that cannot be unpacked is shown as it stands.
 */
export async function stateOfLink(fragment: string): Promise<PlannerState> {
  const link = new URLSearchParams(fragment.slice(0, LONGEST_LINK).replace(/^#/, ""));
  const packed = link.get("source");
  const source = packed === null ? DEFAULT_STATE.source : ((await unpackText(packed)) ?? packed);
  const fields = FIELD_NAMES.map((field) => [field, link.get(field) ?? DEFAULT_STATE[field]] as const);
  const knobs = [...link].filter(([key]) => key.includes("."));
  return { ...DEFAULT_STATE, ...Object.fromEntries(fields), source, knobs: Object.fromEntries(knobs) };
}
