import {
  Counter,
  type CounterConfiguration,
  Gauge,
  type GaugeConfiguration,
  type Registry,
  register,
} from "prom-client";
import type { DeviceUsage, PurposeUsage, UsageSnapshot } from "./snapshot.ts";

/** What the metrics are read from; a `VramTracker` is one. */
export interface UsageSource {
  usage(): UsageSnapshot;
}

export interface VramMetricsOptions {
  readonly tracker: UsageSource;
  /** Where the metrics are registered; prom-client's default registry unless given. */
  readonly registry?: Registry | undefined;
  /** Before each name; "kv_" unless given. Two trackers in one registry need two prefixes. */
  readonly prefix?: string | undefined;
}

interface Sample {
  readonly labels: Record<string, string>;
  readonly value: number;
}

type Metric = Gauge | Counter;

/**
 * Registers a tracker's figures as Prometheus metrics. They are read when the registry is collected, so nothing has to
 * be kept up to date in between; a scrape costs the same however many allocations are held.
 *
 * @returns the function that takes the metrics out of the registry again
 * @throws Error if a name is taken in that registry; none is registered then
 */
export function registerVramMetrics({ tracker, registry = register, prefix = "kv_" }: VramMetricsOptions): () => void {
  const names: string[] = [];
  const remove = (): void => {
    for (const name of names) registry.removeSingleMetric(name);
  };
  try {
    for (const define of METRICS) names.push(define({ tracker, registry, prefix }));
  } catch (error) {
    remove();
    throw error;
  }
  return remove;
}

interface Target {
  readonly tracker: UsageSource;
  readonly registry: Registry;
  readonly prefix: string;
}

/** A metric that is set to what the tracker says each time it is collected. */
function metric(
  kind: "gauge" | "counter",
  name: string,
  help: string,
  labelNames: readonly string[],
  samples: (usage: UsageSnapshot) => Sample[],
): (target: Target) => string {
  return ({ tracker, registry, prefix }) => {
    const configuration = {
      name: prefix + name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect(this: Metric): void {
        this.reset();
        for (const { labels, value } of samples(tracker.usage())) this.inc(labels, value);
      },
    };
    if (kind === "gauge") new Gauge(configuration as GaugeConfiguration<string>);
    else new Counter(configuration as CounterConfiguration<string>);
    return configuration.name;
  };
}

const byPurpose =
  (value: (purpose: PurposeUsage) => number) =>
  ({ devices }: UsageSnapshot): Sample[] =>
    devices.flatMap(({ device, purposes }) =>
      purposes.map((each) => ({ labels: { device, purpose: each.purpose }, value: value(each) })),
    );

const byDevice =
  (value: (device: DeviceUsage) => number) =>
  ({ devices }: UsageSnapshot): Sample[] =>
    devices.map((each) => ({ labels: { device: each.device }, value: value(each) }));

/** An absent label is an empty one to Prometheus: a budget for all devices, or for all purposes. */
const budgets = ({ budgets }: UsageSnapshot): Sample[] =>
  budgets.map(({ device = "", purpose = "", allowedBytes }) => ({ labels: { device, purpose }, value: allowedBytes }));

const PURPOSE = ["device", "purpose"];
const METRICS = [
  metric(
    "gauge",
    "vram_used_bytes",
    "Device memory held now.",
    PURPOSE,
    byPurpose((each) => each.usedBytes),
  ),
  metric(
    "gauge",
    "vram_held_allocations",
    "Allocations held now.",
    PURPOSE,
    byPurpose((each) => each.numAllocations),
  ),
  metric(
    "gauge",
    "vram_peak_bytes",
    "Most device memory held at once, by purpose.",
    PURPOSE,
    byPurpose((each) => each.peakBytes),
  ),
  metric(
    "gauge",
    "vram_device_peak_bytes",
    "Most device memory held at once, of all purposes.",
    ["device"],
    byDevice((each) => each.peakBytes),
  ),
  metric(
    "gauge",
    "vram_budget_bytes",
    "Device memory that a budget allows; an empty label means all.",
    PURPOSE,
    budgets,
  ),
  metric(
    "counter",
    "vram_refused_allocations_total",
    "Allocations that a budget refused.",
    PURPOSE,
    byPurpose((each) => each.numRefused),
  ),
  metric(
    "counter",
    "vram_leaked_allocations_total",
    "Allocations that the garbage collector had to free.",
    PURPOSE,
    byPurpose((each) => each.numLeaked),
  ),
  metric(
    "counter",
    "vram_leaked_bytes_total",
    "Bytes of those allocations.",
    PURPOSE,
    byPurpose((each) => each.leakedBytes),
  ),
];
