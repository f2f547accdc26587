// Prefix sharing on the token-level workload, what an operation costs as the pool grows, and a decode batch. The reference
// loop is one plain pass over all prompt tokens that compares two arrays, in the same run: ratios to it can be compared
// between machines. Fails when hits are not exact. `--requests=N` for a part of the trace.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { BlockManager, type BlockTable, type PolicyName, SequenceBatch } from "@kv/paging";
import { outputToken, parseMooncakeTrace, replaySequentially, type Trace, writePromptTokens } from "@kv/paging/replay";
import { formatUs, printTable, time } from "./figures.ts";

const TOKENS_PER_BLOCK = 16;
const EXACT_HIT_TOKENS: Readonly<Record<number, number>> = { 20000: 6_257_056, 200000: 21_010_768, 400000: 34_538_768 };
const MAX_BYTES_PER_BLOCK = 64;
const MAX_BATCH_US = 30;

const trace = readTrace();
const wanted = process.argv.find((arg) => arg.startsWith("--requests="))?.slice("--requests=".length);
const numRequests = Math.min(Number(wanted ?? trace.requests.length), trace.requests.length);

workloadTable();
policyTable();
growthTable();
batchTable();

/** The whole conversation trace, from the fixture that the package's tests use. */
function readTrace(): Trace {
  const file = new URL("../../packages/paging/test/fixtures/mooncake-conversation-runs.txt.gz", import.meta.url);
  const lines = gunzipSync(readFileSync(file)).toString().trim().split("\n");
  return parseMooncakeTrace(lines.map(jsonLine).join("\n"));
}

function jsonLine(line: string): string {
  const [timestamp, input, output, ...runs] = line.split(" ");
  const ids = runs.flatMap((run) => {
    const [first = 0, more = 0] = run.split("+").map(Number);
    return Array.from({ length: more + 1 }, (_, i) => first + i);
  });
  return JSON.stringify({
    timestamp: Number(timestamp),
    input_length: Number(input),
    output_length: Number(output),
    hash_ids: ids,
  });
}

/** Milliseconds of processor time: other processes on the machine do not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

interface Phases {
  match: number;
  allocate: number;
  decode: number;
  free: number;
  reference: number;
  hitTokens: number;
  promptTokens: number;
}

function runWorkload(numBlocks: number, policy: PolicyName): Phases {
  const manager = new BlockManager({ numBlocks, tokensPerBlock: TOKENS_PER_BLOCK, policy });
  const phases: Phases = { match: 0, allocate: 0, decode: 0, free: 0, reference: 0, hitTokens: 0, promptTokens: 0 };
  const buffer = new Int32Array(131_072);
  const copy = new Int32Array(131_072);
  const output = new Int32Array(2048);
  for (let request = 0; request < numRequests; request++) {
    const { promptTokens = 0, outputTokens = 0 } = trace.requests[request] ?? {};
    writePromptTokens(trace, request, buffer);
    for (let t = 0; t < outputTokens; t++) output[t] = outputToken(request, t);
    const prompt = buffer.subarray(0, promptTokens);
    copy.set(prompt);
    phases.reference += timeReference(prompt, copy);
    serve(manager, prompt, output.subarray(0, Math.max(0, outputTokens - 1)), phases);
    phases.promptTokens += promptTokens;
  }
  return phases;
}

function serve(manager: BlockManager, prompt: Int32Array, output: Int32Array, phases: Phases): void {
  const t0 = cpuMs();
  const table = manager.openSequence(prompt);
  const t1 = cpuMs();
  table.append(prompt.subarray(table.length));
  const t2 = cpuMs();
  for (let t = 0; t < output.length; t++) table.appendToken(output[t] ?? 0);
  const t3 = cpuMs();
  table.dispose();
  phases.match += t1 - t0;
  phases.allocate += t2 - t1;
  phases.decode += t3 - t2;
  phases.free += cpuMs() - t3;
  phases.hitTokens += table.reusedTokens;
}

function timeReference(a: Int32Array, b: Int32Array): number {
  const start = cpuMs();
  let same = 0;
  for (let i = 0; i < a.length; i++) if (a[i] === b[i]) same++;
  if (same !== a.length) throw new Error("the copy differs");
  return cpuMs() - start;
}

function workloadTable(): void {
  const runs: readonly (readonly [number, PolicyName])[] = [
    [200_000, "lru"],
    [200_000, "reuse-rate"],
    [20_000, "lru"],
    [400_000, "lru"],
  ];
  const rows = runs.map(([numBlocks, policy]) => {
    const { match, allocate, decode, free, reference, hitTokens } = runWorkload(numBlocks, policy);
    const total = match + allocate + decode + free;
    const exact = EXACT_HIT_TOKENS[numBlocks];
    const isWhole = numRequests === trace.requests.length && policy === "lru";
    if (isWhole && hitTokens !== exact) process.exitCode = 1;
    const phases = [match, allocate, decode, free].map((ms) => ms.toFixed(0));
    const rate = Math.round((numRequests / total) * 1000);
    return [numBlocks, policy, hitTokens, rate, ...phases, reference.toFixed(0), (total / reference).toFixed(1)];
  });
  printTable(
    `Token-level workload: ${numRequests} requests, processor time in ms`,
    ["blocks", "policy", "hit tokens", "requests/s", "match", "allocate", "decode", "free", "reference", "ratio"],
    rows,
  );
}

function policyTable(): void {
  const sizes = [1000, 3000, 10_000, 30_000, 100_000];
  const policies: readonly PolicyName[] = ["reuse-rate", "lru", "fifo", "lfu", "slru"];
  const rows = policies.map((policy) => [
    policy,
    ...sizes.map((numBlocks) => replaySequentially(trace, { numBlocks, policy }).blocks.hit),
  ]);
  printTable("Hit blocks of 288,500, blocks of 512 tokens", ["policy", ...sizes.map(String)], rows);
}

/** Prompts that share nothing, so that every block is evicted and stored anew once the pool has filled. */
function growthTable(): void {
  const rows = [1e3, 1e4, 1e5, 1e6, 1e7].map((numBlocks) => {
    const options = { numBlocks, tokensPerBlock: TOKENS_PER_BLOCK };
    const manager = new BlockManager({ ...options, policy: "lru" });
    const bytes = manager.bookkeepingBytes / numBlocks;
    if (bytes > MAX_BYTES_PER_BLOCK) process.exitCode = 1;
    const defaultBytes = new BlockManager({ ...options, policy: "reuse-rate" }).bookkeepingBytes / numBlocks;
    const prompt = Int32Array.from({ length: 100 * TOKENS_PER_BLOCK }, (_, i) => i);
    let next = 0;
    const serveOne = (): void => {
      prompt[0] = next++;
      manager.createSequence(prompt).dispose();
    };
    for (let i = 0; i < numBlocks / 100 + 5000; i++) serveOne();
    const { medianUs } = time(10, () => {
      for (let i = 0; i < 1000; i++) serveOne();
    });
    return [numBlocks, (medianUs / 100).toFixed(0), bytes.toFixed(1), defaultBytes.toFixed(1)];
  });
  const head = ["blocks", "ns per block evicted, allocated, stored, freed", "bytes per block, lru", "reuse-rate"];
  printTable("Cost as the pool grows", head, rows);
}

function batchTable(): void {
  const numSequences = 256;
  const manager = new BlockManager({ numBlocks: 200_000, tokensPerBlock: TOKENS_PER_BLOCK, policy: "lru" });
  const tables = Array.from({ length: numSequences }, (_, i): BlockTable => {
    return manager.createSequence(Int32Array.from({ length: 8192 }, (__, j) => i * 8192 + j));
  });
  const options = { tokensPerBlock: TOKENS_PER_BLOCK, maxSequences: numSequences, maxBlocksPerSequence: 1024 };
  const batch = new SequenceBatch(options);
  let token = 0;
  const step = (): void => {
    for (const table of tables) table.appendToken(token);
    batch.prepare(tables);
    token++;
  };
  for (let i = 0; i < 2000; i++) step();
  for (const table of tables) table.truncate(8192);
  const { medianUs } = time(3200, step);
  const prepare = time(500, () => batch.prepare(tables));
  if (medianUs > MAX_BATCH_US) process.exitCode = 1;
  printTable(
    "Decode batch of 256 sequences at 8K tokens, one token appended to each",
    ["", "median", "limit"],
    [
      ["append and prepare", formatUs(medianUs), formatUs(MAX_BATCH_US)],
      ["prepare alone", formatUs(prepare.medianUs), ""],
    ],
  );
}
