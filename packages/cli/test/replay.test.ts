import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { naiveLru } from "./naive-lru.ts";
import { kv, kvJson } from "./run-kv.ts";
import { AZURE, mooncakeLines, promptTokens, SLICE } from "./traces.ts";

const folder = mkdtempSync(path.join(tmpdir(), "kv-replay-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface ReplayJson {
  readonly peakHeldBlocks: number;
  readonly tokens: { readonly reused: number };
  readonly blocks: { readonly requested: number; readonly hit: number; readonly evicted: number };
  readonly numBlocks: number;
  readonly poolBytes: number | null;
  readonly decisions: string;
  readonly sweep: readonly { readonly numBlocks: number; readonly hitBlocks: number }[];
  readonly device: { readonly isSame: boolean; readonly wrong: readonly unknown[]; readonly readBytes: number };
  readonly preemptions: number;
  readonly durationMs: number;
  readonly requests: number;
}

function fileOf(name: string, contents: string | Uint8Array): string {
  const file = path.join(folder, name);
  writeFileSync(file, contents);
  return file;
}

function replay(...args: string[]): ReplayJson {
  const { status, stderr, json } = kvJson(["replay", ...args]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return json as ReplayJson;
}

describe("the whole Mooncake trace, requests one after another", () => {
  let trace = "";
  beforeAll(() => {
    trace = fileOf("mooncake.jsonl", mooncakeLines());
  });

  test("finds every reuse in an unlimited pool", () => {
    expect(replay(trace, "--policy", "lru").blocks).toEqual({ requested: 288_500, hit: 105_710, evicted: 0 });
  });

  test("lru finds 61,046 blocks in a pool of 10,000, and less or more in others", () => {
    const { blocks, sweep } = replay(
      trace,
      "--policy",
      "lru",
      "--blocks",
      "10000",
      "--sweep",
      "1000,3000,30000,100000",
    );
    expect(blocks).toEqual({ requested: 288_500, hit: 61_046, evicted: 288_500 - 61_046 - 10_000 });
    expect(sweep.map(({ hitBlocks }) => hitBlocks)).toEqual([12_847, 18_850, 93_978, 104_924]);
  });
});

describe("the slice that the package brings", () => {
  test.each([100, 300, 1000, 3000])(
    "lru agrees with a simulator that knows only the definition at %i blocks",
    (numBlocks) => {
      const requests = 150;
      const { blocks } = replay(
        SLICE,
        "--policy",
        "lru",
        "--blocks",
        String(Math.max(250, numBlocks)),
        "--requests",
        String(requests),
      );
      expect(blocks.hit).toBe(naiveLru(SLICE, Math.max(250, numBlocks), requests));
    },
  );

  test("--json is as its schema says, for every mode", () => {
    const schema = JSON.parse(
      readFileSync(new URL("../../../docs/replay.schema.json", import.meta.url), "utf8"),
    ) as object;
    const validate = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true }).compile(schema);
    const runs = [
      [SLICE, "--sweep", "500,1000"],
      [
        SLICE,
        "--requests",
        "50",
        "--device",
        "host",
        "--blocks",
        "500",
        "--model",
        "qwen2.5-0.5b",
        "--block-size",
        "32",
      ],
      [AZURE, "--mode", "timed", "--blocks", "500", "--requests", "100"],
    ];
    for (const args of runs) {
      const output = replay(...args);
      expect(validate(output), JSON.stringify(validate.errors)).toBe(true);
      const { blocks: _, ...lacking } = output;
      expect(validate(lacking)).toBe(false);
      expect(validate({ ...output, unknown: 1 })).toBe(false);
    }
  });

  test("a model gives the bytes of the pool", () => {
    const run = replay(SLICE, "--model", "llama-3-8b", "--blocks", "1000", "--requests", "100");
    expect(run.poolBytes).toBe(1000 * 512 * 2 * 32 * 8 * 128 * 2);
  });

  test("timed replays take the service rate that is given", () => {
    const args = [AZURE, "--mode", "timed", "--requests", "60", "--blocks", "2000"];
    const slow = replay(...args, "--prefill-rate", "500");
    const fast = replay(...args, "--prefill-rate", "100000", "--decode-rate", "200");
    expect(slow.durationMs).toBeGreaterThan(2 * fast.durationMs);
    expect(replay(...args, "--blocks", "150").preemptions).toBeGreaterThan(0);
  });

  test("the text has the figures", () => {
    const run = kv(["replay", SLICE, "--policy", "lru", "--blocks", "3000"]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(run.stdout).toMatch(/^hit +\d+,\d{3} +\d+\.\d\d %$/m);
    expect(run.stdout).toMatch(/^decisions sha256:[0-9a-f]{64}$/m);
  });
});

const steps = fc.array(fc.record({ from: fc.nat(50), shared: fc.nat(6), own: fc.nat(4) }), {
  minLength: 1,
  maxLength: 30,
});

test("lru agrees with the simulator on random traces", () => {
  fc.assert(
    fc.property(steps, (given) => {
      let next = 0;
      const prompts: number[][] = [];
      for (const { from, shared, own } of given) {
        const earlier = prompts[from % Math.max(1, prompts.length)] ?? [];
        prompts.push([...earlier.slice(0, shared), ...Array.from({ length: own }, () => next++)]);
      }
      const line = (ids: number[], i: number): string =>
        JSON.stringify({ timestamp: i, input_length: ids.length * 512, output_length: 1, hash_ids: ids });
      const file = fileOf("random.jsonl", prompts.map(line).join("\n"));
      const sizes = [10, 11, 13, 17, 25, 60];
      const { sweep } = replay(file, "--policy", "lru", "--sweep", sizes.join());
      expect(sweep.map(({ hitBlocks }) => hitBlocks)).toEqual(sizes.map((size) => naiveLru(file, size)));
    }),
    { numRuns: 12 },
  );
});

describe("models with several kinds of layers", () => {
  const options = ["--blocks", "16000", "--sequences", "32", "--requests", "60"];

  test.each(["gpt-oss-20b", "gemma-3-27b-it", "qwen3-next-80b-a3b-instruct"])("%s takes what kv size says", (model) => {
    const planned = ["--context", String((16_000 / 32) * 16), "--sequences", "32", "--block", "16"];
    const { totalBytes } = kvJson(["size", model, ...planned]).json as { readonly totalBytes: number };
    expect(replay(SLICE, "--model", model, ...options).poolBytes).toBe(totalBytes);
  });

  test("latents take what kv size says of a block", () => {
    const { totalBytes } = kvJson(["size", "deepseek-v3", "--context", "512"]).json as { readonly totalBytes: number };
    expect(replay(SLICE, "--model", "deepseek-v3", ...options).poolBytes).toBe(16_000 * totalBytes);
  });

  test("windows give back what they have left", () => {
    const { peakHeldBlocks } = replay(SLICE, "--model", "gpt-oss-20b", ...options);
    const longest = Math.max(...promptTokens(SLICE, 60));
    // Half of the layers hold all tokens; the others the last 128 and the part of a prompt that is computed.
    const inWindows = Math.ceil((2048 + 128) / 16) + 1;
    expect(peakHeldBlocks).toBeGreaterThan(Math.ceil(longest / 16));
    expect(peakHeldBlocks).toBeLessThanOrEqual(Math.ceil(longest / 16) + inWindows);
  });

  test.each(["sequential", "timed"])("states are found again where a copy was kept: %s", (mode) => {
    const prompt = { input_length: 5000, output_length: 1, hash_ids: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] };
    const lines = [0, 60_000].map((timestamp) => JSON.stringify({ timestamp, ...prompt }));
    const trace = fileOf("states.jsonl", lines.join("\n"));
    const found = (...args: string[]): number => {
      const model = ["--mode", mode, "--model", "qwen3-next-80b-a3b-instruct", "--blocks", "4096"];
      return replay(trace, ...model, "--sequences", "8", ...args).tokens.reused;
    };
    expect(found()).toBe(4608);
    expect(found("--checkpoint", "1600")).toBe(4800);
  });

  test("states are kept at multiples of a block only", () => {
    const model = ["--model", "qwen3-next-80b-a3b-instruct", "--blocks", "4096"];
    const { status, stderr } = kv(["replay", SLICE, ...model, "--checkpoint", "100"]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/checkpointTokens .*100.*multiple of 16/s);
  });
});

describe("in the memory of a device", () => {
  test.each(["lru", "reuse-rate", "priority"])(
    "decides as without memory, and reads back what was written: %s",
    (policy) => {
      const args = [SLICE, "--policy", policy, "--blocks", "1500", "--requests", "300"];
      const { device } = replay(...args, "--device", "host", "--sample", "7");
      expect(device).toMatchObject({ isSame: true, wrong: [] });
      expect(device.readBytes).toBeGreaterThan(10_000_000);
    },
  );

  test.each([
    ["sequential", "gpt-oss-20b"],
    ["timed", "gpt-oss-20b"],
    ["timed", "qwen2.5-0.5b"],
    ["timed", "deepseek-v3"],
    ["sequential", "qwen3-next-80b-a3b-instruct"],
    ["timed", "qwen3-next-80b-a3b-instruct"],
  ])("%s, with the layers of %s", (mode, model) => {
    const args = [AZURE, "--mode", mode, "--model", model, "--blocks", "640", "--sequences", "4", "--requests", "12"];
    expect(replay(...args, "--device", "host", "--sample", "1").device).toMatchObject({ isSame: true, wrong: [] });
  });
});

describe("input that cannot be used", () => {
  const line = '{"timestamp": 0, "input_length": 600, "output_length": 1, "hash_ids": [1, 2]}';
  const header = "TIMESTAMP,ContextTokens,GeneratedTokens";
  const row = "2023-11-16 18:15:46.6805900,374,44";

  test.each([
    [
      "a field that is no number",
      `${line}\n{"timestamp": 0, "input_length": "x"}`,
      /line 2 .* as input_length, found "x"/,
    ],
    ["no ids", '{"timestamp": 0, "input_length": 1, "output_length": 1}', /line 1 .* as hash_ids, found nothing/],
    ["an id that is none", line.replace("2]", "2.5]"), /line 1 .* as hash_ids\[1\], found 2\.5/],
    ["a line that is cut", `${line}\n\n${line.slice(0, 30)}`, /line 3 .*wanted a JSON object/],
    ["another header", "TIMESTAMP,a,b\n1,2,3\n", /line 1 .*without ContextTokens,GeneratedTokens/],
    ["a wrong time", `${header}\r\n${row}\r\nnoon,1,2\r\n`, /line 3 .* as TIMESTAMP, found noon/],
    ["a wrong count", `${header}\n${row.replace("374", "many")}\n`, /line 2 .* as ContextTokens, found many/],
    ["a row that is short", `${header}\n${row}\n2023-11-16 18:15:47,5\n`, /line 3 .*wanted rows of one length/],
    ["something else", "hello", /line 1 .*wanted JSON lines of Mooncake or CSV of Azure/],
  ])("%s", (name, text, message) => {
    const run = kv(["replay", fileOf(`${name}.txt`, text)]);
    expect(run.stderr).toMatch(/^kv: TRACE_FORMAT: [^\n]+\n$/);
    expect(run.stderr).toMatch(message);
    expect(run).toMatchObject({ status: 2, stdout: "" });
  });

  test("a missing file, an empty one, a gzip file that is cut", () => {
    expect(kv(["replay", path.join(folder, "missing")]).stderr).toMatch(/^kv: INPUT: there is no file /);
    expect(kv(["replay", fileOf("header.csv", `${header}\n`)]).stderr).toMatch(/^kv: INPUT: .* has no requests\n$/);
    for (const empty of [fileOf("empty", ""), fileOf("empty.gz", gzipSync(""))]) {
      const run = kv(["replay", empty]);
      expect(run.stderr).toMatch(/^kv: INPUT: .* is empty: it has no requests\n$/);
      expect(run).toMatchObject({ status: 2, stdout: "" });
    }
    const whole = gzipSync(`${line}\n`.repeat(5000));
    const cut = kv(["replay", fileOf("cut.gz", whole.subarray(0, whole.length - 40))]);
    expect(cut.stderr).toMatch(/^kv: INPUT: .*is not a whole gzip file/);
    expect(cut.status).toBe(2);
  });

  test.each([
    ["--blocks", "0"],
    ["--policy", "best"],
    ["--mode", "fast"],
    ["--prefill-rate", "0"],
    ["--sweep", "10,x"],
    ["--device", "gpu"],
  ])("wrong usage: %s %s", (option, value) => {
    const run = kv(["replay", SLICE, option, value]);
    expect(run.stderr).toMatch(/^kv: USAGE: [^\n]+\n$/);
    expect(run.status).toBe(2);
  });

  test.each([
    ["--blocks", "2000000000"],
    ["--blocks", "2000000000", "--mode", "timed"],
    ["--blocks", "2000000000", "--requests", "5", "--model", "gpt-oss-20b"],
    ["--blocks", "10", "--sweep", "10,2000000000"],
  ])("a pool whose bookkeeping no memory holds: %#", (...args) => {
    const run = kv(["replay", SLICE, ...args]);
    expect(run.stderr).toMatch(/^kv: OUT_OF_MEMORY: [^\n]+ takes \d+ bytes of [^\n]+ where \d+ are available[^\n]+\n$/);
    expect(run).toMatchObject({ status: 3, stdout: "" });
  });

  test("a block size that does not fit the trace, and a report that cannot be written", () => {
    expect(kv(["replay", SLICE, "--block-size", "100"])).toMatchObject({ status: 2, stdout: "" });
    expect(kv(["replay", SLICE, "--requests", "5", "--html", folder]).stderr).toMatch(
      /^kv: INPUT: .* cannot be written/,
    );
  });

  test("what is odd is told, and counted as the definition says", () => {
    const file = fileOf("odd.jsonl", `${line.replace("600", "5000")}\n${line}`);
    const run = kvJson(["replay", file]);
    expect(run.json).toMatchObject({
      blocks: { requested: 4, hit: 2 },
      trace: { notes: [expect.stringContaining("1 requests")] },
    });
  });

  test("lines that end as Windows ends them, a mark at the beginning, prompts without tokens, ids that skip and repeat", () => {
    const request = (tokens: number, ...ids: number[]): string =>
      JSON.stringify({ timestamp: 0, input_length: tokens, output_length: 0, hash_ids: ids });
    const lines = [request(0), request(1500, 7, 7, 7), request(1500, 7, 7, 7), request(600, 3, 9007199254740991)];
    const file = fileOf("odd-lines.jsonl", `\uFEFF${lines.join("\r\n")}\r\n`);
    expect(replay(file).blocks).toEqual({ requested: 8, hit: 3, evicted: 0 });
    expect(replay(fileOf("odd-lines.gz", gzipSync(readFileSync(file)))).blocks.hit).toBe(3);
    // Of a prompt that is larger than the pool the beginning is stored.
    expect(replay(file, "--blocks", "2", "--policy", "lru").blocks).toEqual({ requested: 8, hit: 2, evicted: 2 });
    const timed = replay(file, "--mode", "timed", "--blocks", "10");
    expect(timed).toMatchObject({ requests: 4, rejected: 3, tokens: { prompt: 3600 } });
  });

  test("columns in another order, quotes, a mark at the beginning and times with an offset are read", () => {
    const text = `\uFEFF"ContextTokens",TIMESTAMP,GeneratedTokens,Other\r\n"374","2024-05-10 00:00:00.009930+00:00",44,x\r\n5,2024-05-10 01:00:01.009930+01:00,1,y\r\n`;
    expect(replay(fileOf("other.csv", text), "--mode", "timed", "--blocks", "100")).toMatchObject({ requests: 2 });
  });
});
