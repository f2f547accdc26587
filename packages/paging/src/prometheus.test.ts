import { Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { BlockManager } from "./block-manager.ts";
import { registerPagingMetrics } from "./prometheus.ts";

describe("registerPagingMetrics", () => {
  test("shows what the manager holds at each scrape", async () => {
    let now = 0;
    const manager = new BlockManager({ numBlocks: 4, tokensPerBlock: 2, policy: "lru", clock: () => now });
    const registry = new Registry();
    registerPagingMetrics(manager, { registry, labels: { model: "m" } });
    const table = manager.createSequence([1, 2, 3, 4, 5]);
    expect(await registry.metrics()).toContain('kv_paging_held_blocks{model="m"} 3');
    table.dispose();
    now = 2000;
    manager.createSequence([9, 9, 9, 9, 9, 9, 9, 9]).dispose();
    const text = await registry.metrics();
    expect(text).toContain('kv_paging_prompt_tokens_total{model="m"} 13');
    expect(text).toContain('kv_paging_removed_blocks_total{model="m"} 2');
    expect(text).toMatch(/kv_paging_lifetime_seconds_bucket\{model="m",le="1"\} 0/);
    expect(text).toMatch(/kv_paging_lifetime_seconds_bucket\{model="m",le="\+Inf"\} \d/);
    expect(text).toContain('kv_paging_idle_seconds_count{model="m"}');
  });
});
