import {
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricType,
  type MetricValueWithName,
  type Registry,
} from "prom-client";
import type { BlockManager, ManagerCounters } from "./block-manager.ts";
import type { DurationHistogram } from "./residency.ts";

/** Where the metrics go, and what tells this pool's from others'. */
export interface PagingMetricsOptions {
  registry: Registry;
  /** Before each name. Default "kv_paging_". */
  prefix?: string;
  /** Put on every metric, such as `{ model: "llama-3-8b" }`. */
  labels?: Readonly<Record<string, string>>;
}

type Read = (counters: ManagerCounters) => number;

const GAUGES: readonly (readonly [name: string, help: string, read: Read])[] = [
  ["held_blocks", "Blocks that sequences or pins hold", (counters) => counters.heldBlocks],
  ["cached_blocks", "Blocks that nobody holds and that can be reused or evicted", (counters) => counters.cachedBlocks],
  ["free_blocks", "Blocks without contents", (counters) => counters.freeBlocks],
  ["pinned_blocks", "Blocks that at least one pin holds", (counters) => counters.pinnedBlocks],
  ["sequences", "Sequences that are alive", (counters) => counters.sequences],
];

const COUNTERS: typeof GAUGES = [
  ["prompt_tokens_total", "Tokens that sequences were created with", (counters) => counters.promptTokens],
  ["reused_tokens_total", "Those of them that were in the cache", (counters) => counters.reusedTokens],
  ["stored_blocks_total", "Blocks that became reusable", (counters) => counters.storedBlocks],
  ["removed_blocks_total", "Blocks that stopped being reusable", (counters) => counters.removedBlocks],
];

/** Registers gauges, counters and residency histograms of a manager; each scrape reads what they are then. */
export function registerPagingMetrics(manager: BlockManager, options: PagingMetricsOptions): void {
  const { registry, prefix = "kv_paging_", labels = {} } = options;
  const common = (name: string, help: string): CommonOptions => ({
    name: prefix + name,
    help,
    labelNames: Object.keys(labels),
    registers: [registry],
  });
  for (const [name, help, read] of GAUGES) {
    new Gauge({
      ...common(name, help),
      collect(): void {
        this.set(labels, read(manager.counters()));
      },
    });
  }
  for (const [name, help, read] of COUNTERS) {
    new Counter({
      ...common(name, help),
      collect(): void {
        this.reset();
        this.inc(labels, read(manager.counters()));
      },
    });
  }
  const lifetime = common("lifetime_seconds", "From being stored to being removed, of one block in 16");
  const idle = common("idle_seconds", "From the last use to being removed, of one block in 16");
  new DurationMetric(lifetime, labels, () => manager.counters().lifetime);
  new DurationMetric(idle, labels, () => manager.counters().idle);
}

interface CommonOptions {
  name: string;
  help: string;
  labelNames: string[];
  registers: Registry[];
}

/** A histogram that is counted elsewhere. */
class DurationMetric extends Histogram {
  readonly #options: CommonOptions;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #read: () => DurationHistogram;

  constructor(options: CommonOptions, labels: Readonly<Record<string, string>>, read: () => DurationHistogram) {
    super(options);
    this.#options = options;
    this.#labels = labels;
    this.#read = read;
  }

  override async get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    const { name, help } = this.#options;
    const { boundsSeconds, cumulativeCounts, count, sumSeconds } = this.#read();
    const value = (suffix: string, number: number, le?: number | string): MetricValueWithName<string> => ({
      metricName: name + suffix,
      value: number,
      labels: le === undefined ? { ...this.#labels } : { ...this.#labels, le },
    });
    const buckets = boundsSeconds.map((bound, i) => value("_bucket", cumulativeCounts[i] as number, bound));
    const collect = (): void => undefined;
    const values = [...buckets, value("_bucket", count, "+Inf"), value("_sum", sumSeconds), value("_count", count)];
    return { name, help, type: "histogram" as unknown as MetricType, aggregator: "sum", values, collect };
  }

  /** What the registry asks for when it makes text. */
  getForPromString(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    return this.get();
  }
}
