import { describe, expect, test } from "vitest";
import { type PolicyName, replaySequentially, type Trace, type TraceRequest } from "../src/replay/index.ts";

/** Requests made of block numbers; one id per block. */
function traceOf(prompts: readonly (readonly number[])[]): Trace {
  const requests = prompts.map((prefixIds, i): TraceRequest => {
    return { arrivalMs: i, promptTokens: prefixIds.length * 512, outputTokens: 1, prefixIds };
  });
  return { format: "mooncake", requests, tokensPerId: 512 };
}

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

const range = (length: number, first: number): number[] => Array.from({ length }, (_, i) => first + i);

/** Popular prefixes with new ends, and now and then a long scan of prompts that never come again. */
function hotWithScans(): Trace {
  const random = generator(3);
  let next = 10_000;
  let scanLeft = 0;
  const fresh = (length: number): number[] => {
    next += length;
    return range(length, next - length);
  };
  return traceOf(
    range(8000, 0).map(() => {
      if (scanLeft === 0 && random() < 0.002) scanLeft = 300;
      if (scanLeft > 0) {
        scanLeft--;
        return fresh(20);
      }
      return [...range(12, Math.floor(random() * random() * 150) * 12), ...fresh(3)];
    }),
  );
}

/** The same documents over and over, more of them than fit. */
function loop(): Trace {
  return traceOf(range(5000, 0).map((i) => range(10, (i % 400) * 10)));
}

/** Nothing ever comes again. */
function scan(): Trace {
  return traceOf(range(3000, 0).map((i) => range(20, i * 20)));
}

/** As `loop`, and slightly more than fits. */
function tightLoop(): Trace {
  return traceOf(range(5000, 0).map((i) => range(10, (i % 110) * 10)));
}

/** Prompts by a Zipf distribution, each with a new end. */
function zipf(exponent: number): Trace {
  const random = generator(7);
  const weights = range(2000, 1).map((rank) => rank ** -exponent);
  const total = weights.reduce((sum, weight) => sum + weight);
  const pick = (): number => {
    let left = random() * total;
    return weights.findIndex((weight) => {
      left -= weight;
      return left <= 0;
    });
  };
  return traceOf(range(8000, 0).map((i) => [...range(6, Math.max(0, pick()) * 6), 1_000_000 + i]));
}

/** What is popular changes every thousand requests, to all others. */
function shifts(): Trace {
  const random = generator(11);
  return traceOf(
    range(8000, 0).map((i) => {
      const first = Math.floor(i / 1000) * 10_000 + Math.floor(random() * random() * 200) * 10;
      return [...range(10, first), 1_000_000 + i];
    }),
  );
}

/** Conversations that grow by some blocks a turn, are gone on with after a pause, and end. */
function conversations(): Trace {
  const random = generator(13);
  let next = 10;
  let alive: number[][] = [];
  return traceOf(
    range(8000, 0).map(() => {
      if (alive.length < 120 || random() < 0.15) alive.push(range(3, 0));
      const turn = alive[Math.floor(random() * alive.length)] as number[];
      for (let more = 1 + Math.floor(random() * 4); more > 0; more--) turn.push(next++);
      const prompt = [...turn];
      if (random() < 0.12) alive = alive.filter((each) => each !== turn);
      return prompt;
    }),
  );
}

/** Questions about some documents at a time, each for a while and never again. */
function bursts(): Trace {
  const random = generator(17);
  let next = 0;
  const fresh = (length: number): number[] => {
    next += length;
    return range(length, next - length);
  };
  const open: { document: number[]; questions: number }[] = [];
  return traceOf(
    range(6000, 0).map(() => {
      while (open.length < 20) {
        open.push({ document: fresh(5 + Math.floor(random() * 10)), questions: 1 + Math.floor(random() * 12) });
      }
      const at = Math.floor(random() * open.length);
      const chosen = open[at] as (typeof open)[number];
      if (--chosen.questions === 0) open.splice(at, 1);
      return [...chosen.document, ...fresh(1 + Math.floor(random() * 2))];
    }),
  );
}

/** Agents that add a little at each step, a few at a time. */
function agents(): Trace {
  const random = generator(19);
  let next = 1000;
  const running: { prompt: number[]; steps: number }[] = [];
  return traceOf(
    range(8000, 0).map(() => {
      while (running.length < 64) {
        running.push({ prompt: range(6, Math.floor(random() * 4) * 6), steps: 5 + Math.floor(random() * 40) });
      }
      const at = Math.floor(random() * running.length);
      const chosen = running[at] as (typeof running)[number];
      for (let more = 1 + Math.floor(random() * 2); more > 0; more--) chosen.prompt.push(next++);
      if (--chosen.steps === 0) running.splice(at, 1);
      return [...chosen.prompt];
    }),
  );
}

function hits(trace: Trace, numBlocks: number, policy: PolicyName): number {
  return replaySequentially(trace, { numBlocks, policy }).blocks.hit;
}

describe("the default policy", () => {
  test.each([
    ["popular prefixes with scans", hotWithScans(), 1000, 1.1],
    ["popular prefixes with scans", hotWithScans(), 3000, 1],
    ["a loop that does not fit", loop(), 3000, 1],
    ["a scan", scan(), 1000, 1],
  ])("on %s is no worse than lru", (_, trace, numBlocks, factor) => {
    const lru = hits(trace, numBlocks, "lru");
    expect(hits(trace, numBlocks, "reuse-rate")).toBeGreaterThanOrEqual(factor * lru);
  });

  const OTHERS = {
    "a loop slightly above the pool": tightLoop(),
    "a loop far above the pool": loop(),
    "a zipf distribution": zipf(0.8),
    "a steep zipf distribution": zipf(1.2),
    "popularity that shifts": shifts(),
    conversations: conversations(),
    "questions about a document in bursts": bursts(),
    agents: agents(),
    "popular prefixes with scans": hotWithScans(),
  };

  test.each(Object.entries(OTHERS))(
    "on %s is as good as lru but for 1 %, or better, in pools of any size",
    (_, trace) => {
      const losses = [200, 1000, 4000].map((numBlocks) => {
        const lru = hits(trace, numBlocks, "lru");
        return { numBlocks, loss: 1 - hits(trace, numBlocks, "reuse-rate") / Math.max(1, lru) };
      });
      expect(losses.filter(({ loss }) => loss > 0.01)).toEqual([]);
    },
  );

  test("keeps a part of a loop of which lru keeps nothing", () => {
    expect(hits(loop(), 3000, "lru")).toBe(0);
    expect(hits(loop(), 3000, "reuse-rate")).toBeGreaterThan(10_000);
  });
});

describe("each policy evicts by its own rule", () => {
  const prompts = [[1], [2], [1], [1], [3], [1], [2], [3]];

  test.each<[PolicyName, number]>([
    ["lru", 3],
    ["fifo", 2],
    ["lfu", 3],
    ["slru", 3],
    ["priority", 3],
  ])("%s on a small example", (policy, expected) => {
    expect(hits(traceOf(prompts), 2, policy)).toBe(expected);
  });

  test("fifo forgets what was stored first, lru what was used first", () => {
    const trace = traceOf([[1], [2], [1], [3], [1]]);
    expect([hits(trace, 2, "lru"), hits(trace, 2, "fifo")]).toEqual([2, 1]);
  });

  test("lfu keeps what is used often, slru what was used again", () => {
    const trace = traceOf([[1], [1], [1], [2], [3], [4], [1], [2]]);
    expect([hits(trace, 2, "lru"), hits(trace, 2, "lfu"), hits(trace, 2, "slru")]).toEqual([2, 3, 3]);
  });
});
