import { describe, expect, test } from "vitest";
import { DeviceModel, EMPTY } from "../test/device-model.ts";
import { BlockManager, type BlockManagerOptions } from "./block-manager.ts";
import {
  DisposedError,
  InvalidTokenError,
  OutOfBlocksError,
  PinLimitError,
  PositionError,
  QuotaError,
} from "./errors.ts";

const tokens = (length: number, first = 0): number[] => Array.from({ length }, (_, i) => first + i);

function manager(options: Partial<BlockManagerOptions> = {}): BlockManager {
  return new BlockManager({ numBlocks: 16, tokensPerBlock: 4, policy: "lru", clock: () => 0, ...options });
}

describe("BlockManager", () => {
  test("shares the longest cached prefix, but never the last prompt token", () => {
    const pool = manager();
    const a = pool.createSequence(tokens(8));
    const b = pool.createSequence(tokens(8));
    expect([a.reusedTokens, b.reusedTokens]).toEqual([0, 4]);
    expect(b.blocks()[0]).toBe(a.blocks()[0]);
    expect(b.blocks()[1]).not.toBe(a.blocks()[1]);
    expect(pool.createSequence(tokens(9)).blocks().slice(0, 2)).toEqual(a.blocks());
  });

  test("reuses generated tokens", () => {
    const pool = manager();
    const first = pool.createSequence(tokens(3));
    for (const token of [3, 4, 5, 6, 7, 8]) first.appendToken(token);
    first.dispose();
    expect(pool.createSequence(tokens(10)).reusedTokens).toBe(8);
  });

  test("reuses into the middle of a block by copying it", () => {
    const pool = manager();
    const device = new DeviceModel(16, 4);
    const first = pool.createSequence(tokens(8));
    device.write(first, tokens(8), 0);
    const prompt = [0, 1, 2, 3, 4, 5, 99, 98];
    const second = pool.createSequence(prompt, { intoBlocks: true });
    expect(second.reusedTokens).toBe(6);
    device.work(pool.takeWork());
    device.write(second, prompt, 6);
    expect(device.read(second)).toEqual(prompt);
    expect(device.read(first)).toEqual(tokens(8));
  });

  test("stores late when asked to", () => {
    const pool = manager();
    const table = pool.createSequence(tokens(12), { storeOn: "commit" });
    expect(pool.countReusable(tokens(12))).toBe(0);
    table.commit(6);
    expect(pool.countReusable(tokens(12))).toBe(4);
    table.commit();
    expect([pool.countReusable(tokens(13)), table.storedTokens]).toEqual([12, 12]);
  });

  test("names what is missing when blocks run out, and changes nothing", () => {
    const pool = manager();
    pool.createSequence(tokens(40));
    const before = pool.usage();
    const attempt = (): unknown => pool.createSequence(tokens(40, 100));
    expect(attempt).toThrow(OutOfBlocksError);
    expect(attempt).toThrow("need 10 blocks, 6 of 16 are free and 0 evictable: 4 too few");
    expect(pool.usage()).toEqual(before);
  });

  test.each([[[-1]], [[1.5]], [[2 ** 31]], [[Number.NaN]]])("refuses %j as tokens", (bad) => {
    const pool = manager();
    expect(() => pool.createSequence(bad)).toThrow(InvalidTokenError);
    expect(() => pool.createSequence([1]).appendToken(bad[0] as number)).toThrow(InvalidTokenError);
    expect(() => pool.createSequence(Int32Array.of(3, -7))).toThrow("token 1 of the input is -7");
  });

  test.each([5, null, [1], {}, ["a", 2]])("refuses %j as a namespace", (bad) => {
    const pool = manager();
    const options = { namespace: bad as never, keys: [{ start: 0, end: 2, key: "image" }] };
    const error = expect.objectContaining({ code: "INVALID_OPTION", option: "namespace" });
    expect(() => pool.createSequence(tokens(4), options)).toThrow(error);
    expect(() => pool.countReusable(tokens(4), options)).toThrow(error);
    expect(() => pool.pin(tokens(4), options)).toThrow(error);
    expect(() => pool.setQuota(bad as never, {})).toThrow(error);
    pool.checkInvariants();
  });

  test("refuses positions outside a sequence, and its use after disposal", () => {
    const table = manager().createSequence(tokens(6));
    expect(() => table.truncate(7)).toThrow(PositionError);
    expect(() => table.fork(-1)).toThrow("fork wants position -1; the sequence has 0 to 6");
    expect(() => table.slot(6)).toThrow(PositionError);
    table.dispose();
    table.dispose();
    for (const use of [() => table.appendToken(1), () => table.append([1]), () => table.fork(), () => table.blocks()]) {
      expect(use).toThrow(DisposedError);
    }
  });

  test("bookkeeping stays within 64 bytes per block", () => {
    for (const policy of ["reuse-rate", "lru"] as const) {
      const pool = new BlockManager({ numBlocks: 100_000, tokensPerBlock: 16, policy });
      expect(pool.bookkeepingBytes / 100_000).toBeLessThanOrEqual(64);
    }
  });
});

describe("namespaces", () => {
  const namespaces = ["", "a", "b", ["a", "b"], ["ab"], Uint8Array.of(97), ["a", ""], [Uint8Array.of(97), "b"]];

  test.each([
    ["the default hash", {}],
    ["a constant hash", { prefixHash: () => 7 }],
  ])("never share, with %s", (_, options) => {
    const pool = manager({ ...options, numBlocks: 64 });
    for (const namespace of namespaces) {
      expect(pool.createSequence(tokens(9), { namespace }).reusedTokens).toBe(0);
    }
    for (const namespace of namespaces) {
      expect(pool.createSequence(tokens(9), { namespace }).reusedTokens).toBe(8);
    }
    pool.checkInvariants();
  });

  test("tokens with different keys are different, with the same they are the same", () => {
    const pool = manager({ prefixHash: () => 1 });
    const image = (key: string) => ({ keys: [{ start: 2, end: 6, key }] });
    pool.createSequence(tokens(9), image("cat")).dispose();
    expect(pool.countReusable(tokens(9), image("dog"))).toBe(0);
    expect(pool.countReusable(tokens(9))).toBe(0);
    expect(pool.countReusable(tokens(9), image("cat"))).toBe(8);
    expect(() => pool.createSequence(tokens(4), { keys: [{ start: 1, end: 5, key: "x" }] })).toThrow("end of a keyed");
  });

  test("scrub blocks that change owner, before anything is written to them", () => {
    const pool = manager({ numBlocks: 3, scrub: "between-namespaces" });
    const device = new DeviceModel(3, 4);
    const secret = pool.createSequence(tokens(10, 500), { namespace: "a" });
    device.write(secret, tokens(10, 500), 0);
    secret.dispose();
    const other = pool.createSequence([1], { namespace: "b" });
    device.work(pool.takeWork());
    device.write(other, [1], 0);
    expect(device.block(other.blocks()[0] as number)).toEqual([1, EMPTY, EMPTY, EMPTY]);
    const own = pool.createSequence([2], { namespace: "a" });
    expect(pool.takeWork()).toEqual([]);
    own.dispose();
  });

  test("keep to their quotas", () => {
    const pool = manager();
    pool.setQuota("a", { maxUsedBlocks: 3, maxCachedBlocks: 2 });
    expect(() => pool.createSequence(tokens(16), { namespace: "a" })).toThrow(QuotaError);
    const table = pool.createSequence(tokens(12), { namespace: "a" });
    expect(() => table.appendToken(1)).toThrow('namespace "a" needs 1 more blocks, uses 3 and may use 3');
    table.dispose();
    expect(pool.usage().namespaces).toMatchObject([{ namespace: "a", cachedBlocks: 2, bytes: 2 }]);
    expect(pool.countReusable(tokens(12), { namespace: "a" })).toBe(8);
    pool.setQuota("a", { maxCachedBlocks: 1 });
    pool.createSequence(tokens(12, 50), { namespace: "a" }).dispose();
    expect(pool.usage().cachedBlocks).toBe(1);
    pool.checkInvariants();
  });
});

describe("pins", () => {
  test("keep a prefix against any pressure, up to their cap", () => {
    const pool = manager({ maxPinnedBlocks: 2 });
    pool.createSequence(tokens(12)).dispose();
    expect(() => pool.pin(tokens(12))).toThrow(PinLimitError);
    const pin = pool.pin(tokens(11));
    expect(pin.numTokens).toBe(8);
    pool.createSequence(tokens(56, 100)).dispose();
    expect(pool.countReusable(tokens(12))).toBe(8);
    expect(() => pool.createSequence(tokens(60, 100))).toThrow("release pins (they hold 2)");
    expect(pool.usage()).toMatchObject({ pinnedBlocks: 2, cachedBlocks: 14 });
    pin.dispose();
    pin.dispose();
    pool.createSequence(tokens(64, 100)).dispose();
    expect(pool.countReusable(tokens(12))).toBe(0);
    pool.checkInvariants();
  });
});

describe("priorities", () => {
  test("keep a range longer than others, for its time", () => {
    let now = 0;
    const pool = manager({ numBlocks: 4, policy: "priority", clock: () => now });
    const retention = [{ start: 0, end: 8, priority: 90, ttlMs: 1000 }];
    pool.createSequence(tokens(8), { retention }).dispose();
    pool.createSequence(tokens(8, 50)).dispose();
    pool.createSequence(tokens(8, 100)).dispose();
    expect(pool.countReusable(tokens(9))).toBe(8);
    now = 1500;
    pool.createSequence(tokens(8, 150)).dispose();
    now = 1600;
    pool.createSequence(tokens(16, 200)).dispose();
    expect(pool.countReusable(tokens(9))).toBe(0);
  });
});

describe("explain", () => {
  test("says why a block is kept or gone", () => {
    let now = 0;
    const pool = manager({ numBlocks: 2, maxPinnedBlocks: 2, clock: () => now });
    expect(pool.explain(0)).toMatchObject({ state: "free", reason: "free: it holds no stored prefix" });
    const table = pool.createSequence(tokens(8), { namespace: "a" });
    const [first, last] = table.blocks() as [never, never];
    expect(pool.explain(first)).toMatchObject({ state: "held", reason: "kept: 1 sequence uses it", prefixTokens: 4 });
    const pin = pool.pin(tokens(8), { namespace: "a" });
    table.dispose();
    expect(pool.explain(last)).toMatchObject({ state: "pinned", reason: "kept: 1 pin holds it" });
    pin.dispose();
    expect(pool.explain(first).reason).toContain("cached blocks go on from it");
    now = 700;
    expect(pool.explain(last)).toMatchObject({ state: "cached", idleMs: 700 });
    expect(pool.explain(last).reason).toContain("lru: goes when");
    const other = pool.createSequence([1], { namespace: "b" });
    const eviction = { reason: "space", namespace: "a", forNamespace: "b", idleMs: 700, timesReused: 0 };
    expect(pool.explain(last).lastEviction).toMatchObject(eviction);
    other.dispose();
    expect(pool.explain(last).reason).toContain('evicted from namespace "a" to make room for "b" (unused for 700 ms');
    expect(() => pool.explain(2)).toThrow("block is 2; it must be an integer from 0 to 1");
  });
});
