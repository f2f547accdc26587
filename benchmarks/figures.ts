import Table from "cli-table3";

/** The median of several timings, in microseconds; the first one is kept apart, since it warms up. */
export interface Timing {
  readonly firstUs: number;
  readonly medianUs: number;
  readonly minUs: number;
}

/** Times `run`; `afterwards` follows each time without being timed. */
export function time(repetitions: number, run: () => void, afterwards: () => void = () => {}): Timing {
  const timesUs: number[] = [];
  for (let i = 0; i <= repetitions; i++) {
    const start = process.hrtime.bigint();
    run();
    timesUs.push(Number(process.hrtime.bigint() - start) / 1000);
    afterwards();
  }
  const sorted = timesUs.slice(1).sort((a, b) => a - b);
  return { firstUs: timesUs[0] ?? 0, medianUs: sorted[sorted.length >> 1] ?? 0, minUs: sorted[0] ?? 0 };
}

/** As `time`, for one asynchronous run after the other. */
export async function timeAsync(repetitions: number, run: () => Promise<void>): Promise<Timing> {
  const timesUs: number[] = [];
  for (let i = 0; i <= repetitions; i++) {
    const start = process.hrtime.bigint();
    await run();
    timesUs.push(Number(process.hrtime.bigint() - start) / 1000);
  }
  const sorted = timesUs.slice(1).sort((a, b) => a - b);
  return { firstUs: timesUs[0] ?? 0, medianUs: sorted[sorted.length >> 1] ?? 0, minUs: sorted[0] ?? 0 };
}

/** Nanoseconds that one of many calls takes, as the median over ten batches. */
export function nanosecondsPerCall(callsPerBatch: number, call: (i: number) => void): number {
  const batch = time(10, () => {
    for (let i = 0; i < callsPerBatch; i++) call(i);
  });
  return (batch.medianUs * 1000) / callsPerBatch;
}

export function gigabytesPerSecond(bytes: number, microseconds: number): number {
  return bytes / microseconds / 1000;
}

export function printTable(
  title: string,
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): void {
  const table = new Table({
    head: [...head],
    style: { head: [], border: [] },
    colAligns: head.map((_, i) => (i === 0 ? "left" : "right")),
  });
  for (const row of rows) table.push([...row]);
  process.stdout.write(`\n${title}\n${table.toString()}\n`);
}

/** Microseconds with a unit that reads well. */
export function formatUs(microseconds: number): string {
  if (microseconds < 1000) return `${microseconds.toFixed(1)} µs`;
  return microseconds < 1e6 ? `${(microseconds / 1000).toFixed(2)} ms` : `${(microseconds / 1e6).toFixed(2)} s`;
}

/** A part of a whole: "92.4 %". */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
