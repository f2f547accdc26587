import { checkOneOf } from "../check.ts";
import type { PolicyFactory } from "../eviction-policy.ts";
import { FifoPolicy } from "./fifo.ts";
import { LfuPolicy } from "./lfu.ts";
import { LruPolicy } from "./lru.ts";
import { PriorityPolicy } from "./priority.ts";
import { ReuseRatePolicy } from "./reuse-rate.ts";
import { SlruPolicy } from "./slru.ts";

/** A policy of this package. */
export type PolicyName = "reuse-rate" | "lru" | "lfu" | "fifo" | "slru" | "priority";

const FACTORIES: Readonly<Record<PolicyName, PolicyFactory>> = {
  "reuse-rate": (context) => new ReuseRatePolicy(context),
  lru: (context) => new LruPolicy(context),
  lfu: (context) => new LfuPolicy(context),
  fifo: (context) => new FifoPolicy(context),
  slru: (context) => new SlruPolicy(context),
  priority: (context) => new PriorityPolicy(context),
};

/** All of them, the default first. */
export const POLICY_NAMES: readonly PolicyName[] = Object.keys(FACTORIES) as PolicyName[];

/** The factory of a policy given by name, or the caller's own. @throws InvalidOptionError for an unknown name */
export function policyFactory(policy: PolicyName | PolicyFactory): PolicyFactory {
  return typeof policy === "function" ? policy : FACTORIES[checkOneOf("policy", policy, POLICY_NAMES)];
}
