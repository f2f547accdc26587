import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AddressTable } from "./address-table.ts";

/** Few enough that they meet again, from all over the 64 bits. */
const anyAddress = fc.oneof(
  fc.integer({ min: 0, max: 40 }).map((i) => BigInt(i)),
  fc.integer({ min: 0, max: 40 }).map((i) => 0x7f00_0000_0000n + BigInt(i) * 0x20_0000n),
  fc.integer({ min: 0, max: 40 }).map((i) => BigInt(i) << 58n),
);

describe("AddressTable", () => {
  test("holds what a Map holds", () => {
    const steps = fc.array(fc.tuple(fc.boolean(), anyAddress, fc.nat()), { maxLength: 400, size: "max" });
    fc.assert(
      fc.property(steps, (list) => {
        const table = new AddressTable<number>();
        const map = new Map<bigint, number>();
        for (const [adds, address, value] of list) {
          if (!adds || map.has(address)) {
            expect(table.take(address)).toBe(map.get(address));
            map.delete(address);
          } else {
            table.add(address, value);
            map.set(address, value);
          }
          expect(table.get(address)).toBe(map.get(address));
          expect(table.size).toBe(map.size);
        }
        const inOrder = (values: Iterable<number>): number[] => [...values].sort((a, b) => a - b);
        expect(inOrder(table.values())).toEqual(inOrder(map.values()));
      }),
    );
  });

  test("grows to hold many and shrinks as they go, losing none", () => {
    const table = new AddressTable<number>();
    const addressOf = (i: number): bigint => BigInt(i) * 0x20_0000n;
    for (let i = 0; i < 1000; i++) table.add(addressOf(i), i);
    for (let gone = 0; gone < 1000; gone++) {
      expect(table.take(addressOf(gone))).toBe(gone);
      expect(table.get(addressOf(gone))).toBeUndefined();
      if (gone < 999) expect(table.get(addressOf(999))).toBe(999);
      expect([...table.values()]).toHaveLength(999 - gone);
    }
  });

  test("the same address comes and goes beside many others without slowing down", () => {
    const table = new AddressTable<number>();
    for (let i = 0; i < 100_000; i++) table.add(0x7f00_0000_0000n + BigInt(i) * 256n, i);
    const milliseconds = () => {
      const start = performance.now();
      for (let i = 0; i < 20_000; i++) {
        table.add(1n, i);
        table.take(1n);
      }
      return performance.now() - start;
    };
    // A few milliseconds, unless the machine is busy with other things; a Map takes more than two seconds.
    expect(Math.min(milliseconds(), milliseconds(), milliseconds())).toBeLessThan(500);
    expect(table.size).toBe(100_000);
  });
});
