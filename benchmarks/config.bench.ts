// What reading a configuration, its sizes and a whole plan cost, over every preset. Fails when the slowest model of a
// row is over the row's limit.
import { fromHuggingFace, planReport, RULES, sizeOf, sizeReport } from "@kv/config";
import { MODEL_PRESETS, presetShape } from "@kv/config/presets";
import { Bench } from "tinybench";
import { formatUs, printTable } from "./figures.ts";

const SIZES_LIMIT_US = 50;
const PLAN_LIMIT_US = 1000;
const BUDGET_BYTES = 64 * 1024 ** 3;

interface Row {
  readonly what: string;
  readonly limitUs: number;
  readonly calls: readonly { readonly model: string; readonly call: () => unknown }[];
}

const shapes = MODEL_PRESETS.map((preset) => ({ model: preset.id, shape: presetShape(preset) }));
const rows: readonly Row[] = [
  {
    what: "fromHuggingFace and sizeOf",
    limitUs: SIZES_LIMIT_US,
    calls: MODEL_PRESETS.map(({ id, config }) => ({
      model: id,
      call: () => sizeOf(fromHuggingFace(config), { tokens: 4096 }),
    })),
  },
  {
    what: "fromHuggingFace and planReport, exact",
    limitUs: PLAN_LIMIT_US,
    calls: MODEL_PRESETS.map(({ id, config }) => ({
      model: id,
      call: () => planReport(fromHuggingFace(config), { tokens: 4096, budgetBytes: BUDGET_BYTES }),
    })),
  },
  ...Object.values(RULES).flatMap(({ name: rule }): Row[] => [
    {
      what: `sizeReport, ${rule}`,
      limitUs: PLAN_LIMIT_US,
      calls: served(({ shape }) => sizeReport(shape, { rule, tokens: 4096 })),
    },
    {
      what: `planReport, ${rule}`,
      limitUs: PLAN_LIMIT_US,
      calls: served(({ shape }) => planReport(shape, { rule, tokens: 4096, budgetBytes: BUDGET_BYTES })),
    },
  ]),
];

const table: string[][] = [];
for (const row of rows) {
  const timings = await timeEach(row);
  const medians = timings.map(({ medianUs }) => medianUs).sort((a, b) => a - b);
  const slowest = timings.reduce((a, b) => (b.medianUs > a.medianUs ? b : a));
  if (slowest.medianUs > row.limitUs) process.exitCode = 1;
  table.push([
    row.what,
    String(timings.length),
    formatUs(medians[medians.length >> 1] ?? 0),
    formatUs(slowest.medianUs),
    formatUs(row.limitUs),
    slowest.model,
  ]);
}
printTable(
  "Host time of one model, median of its runs",
  ["", "models", "median", "slowest", "limit", "slowest model"],
  table,
);

/** The models that a rule serves; it refuses the kinds of layer that its engine does not have. */
function served(call: (model: (typeof shapes)[number]) => unknown): Row["calls"] {
  return shapes
    .filter((model) => {
      try {
        call(model);
        return true;
      } catch {
        return false;
      }
    })
    .map((model) => ({ model: model.model, call: () => call(model) }));
}

async function timeEach({ calls }: Row): Promise<{ model: string; medianUs: number }[]> {
  const bench = new Bench({ time: 20, warmupTime: 5, iterations: 10, warmupIterations: 5 });
  for (const { model, call } of calls) bench.add(model, () => void call());
  await bench.run();
  return bench.tasks.map(({ name, result }) => {
    if (result.state !== "completed") throw new Error(`${name} did not complete`);
    return { model: name, medianUs: result.latency.p50 * 1000 };
  });
}
