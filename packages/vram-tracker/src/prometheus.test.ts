import { Gauge, Registry, register } from "prom-client";
import { afterEach, describe, expect, test } from "vitest";
import { registerVramMetrics } from "./prometheus.ts";
import { VramTracker } from "./vram-tracker.ts";

const weights = { device: "cuda:0", address: 1n, sizeBytes: 500, purpose: "model_weights" };
const cache = { device: "cuda:0", address: 2n, sizeBytes: 300, purpose: "kv_cache" };

/** The lines of an exposition without its comments. */
async function samplesOf(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

describe("registerVramMetrics", () => {
  afterEach(() => register.clear());

  test("exposes bytes, allocations, peaks, budgets, refusals and leaks", async () => {
    const tracker = new VramTracker();
    const registry = new Registry();
    registerVramMetrics({ tracker, registry });
    expect(await samplesOf(registry)).toEqual([]);
    tracker.setBudget({ device: "cuda:0", allowedBytes: 1000 });
    tracker.setBudget({ purpose: "kv_cache", allowedBytes: 400 });
    tracker.recordAllocation(cache);
    tracker.recordAllocation(weights);
    tracker.recordLeak(weights);
    expect(() => tracker.checkBudget({ ...cache, sizeBytes: 101 })).toThrow();
    expect(await samplesOf(registry)).toEqual([
      'kv_vram_used_bytes{device="cuda:0",purpose="kv_cache"} 300',
      'kv_vram_used_bytes{device="cuda:0",purpose="model_weights"} 0',
      'kv_vram_held_allocations{device="cuda:0",purpose="kv_cache"} 1',
      'kv_vram_held_allocations{device="cuda:0",purpose="model_weights"} 0',
      'kv_vram_peak_bytes{device="cuda:0",purpose="kv_cache"} 300',
      'kv_vram_peak_bytes{device="cuda:0",purpose="model_weights"} 500',
      'kv_vram_device_peak_bytes{device="cuda:0"} 800',
      'kv_vram_budget_bytes{device="",purpose="kv_cache"} 400',
      'kv_vram_budget_bytes{device="cuda:0",purpose=""} 1000',
      'kv_vram_refused_allocations_total{device="cuda:0",purpose="kv_cache"} 1',
      'kv_vram_refused_allocations_total{device="cuda:0",purpose="model_weights"} 0',
      'kv_vram_leaked_allocations_total{device="cuda:0",purpose="kv_cache"} 0',
      'kv_vram_leaked_allocations_total{device="cuda:0",purpose="model_weights"} 1',
      'kv_vram_leaked_bytes_total{device="cuda:0",purpose="kv_cache"} 0',
      'kv_vram_leaked_bytes_total{device="cuda:0",purpose="model_weights"} 500',
    ]);
  });

  test("a counter has the type counter and ends in _total, a gauge does neither", async () => {
    const registry = new Registry();
    registerVramMetrics({ tracker: new VramTracker(), registry });
    const types = [...(await registry.metrics()).matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    expect(types).toHaveLength(8);
    for (const [, name, type] of types)
      expect([name, type]).toEqual([name, name?.endsWith("_total") ? "counter" : "gauge"]);
  });

  test("each scrape reads anew", async () => {
    const tracker = new VramTracker();
    const registry = new Registry();
    registerVramMetrics({ tracker, registry });
    tracker.recordAllocation(cache);
    expect(await samplesOf(registry)).toEqual(await samplesOf(registry));
    tracker.recordFree(cache);
    expect(await samplesOf(registry)).toContain('kv_vram_used_bytes{device="cuda:0",purpose="kv_cache"} 0');
  });

  test("goes to the default registry, under a prefix, and out again", async () => {
    const tracker = new VramTracker();
    tracker.recordAllocation(cache);
    const remove = registerVramMetrics({ tracker, prefix: "draft_" });
    registerVramMetrics({ tracker });
    expect(await samplesOf(register)).toContain('draft_vram_used_bytes{device="cuda:0",purpose="kv_cache"} 300');
    remove();
    expect(await register.metrics()).not.toContain("draft_");
    expect(await register.metrics()).toContain("kv_vram_used_bytes");
  });

  test("a name that is taken fails and leaves the registry as it was", async () => {
    const registry = new Registry();
    new Gauge({ name: "kv_vram_budget_bytes", help: "Somebody else's.", registers: [registry] });
    const before = await registry.metrics();
    expect(() => registerVramMetrics({ tracker: new VramTracker(), registry })).toThrow(/already been registered/);
    expect(await registry.metrics()).toBe(before);
  });
});
