import { describe, expect, test } from "vitest";
import { builtPackage } from "./addon.ts";
import { BUSY, runScript } from "./run-script.ts";

// Worker threads end at any time too, and the process goes on: with all that they had open given back.

const ALIVE = { status: 0, signal: null, stdout: "alive\n", stderr: "" };

/** Runs workers one after the other, ends each as told, and says how many bytes of "cuda:0" they kept. */
function runWorkers(device: string, work: string, end: string, numWorkers: number): ReturnType<typeof runScript> {
  const script = `
    const work = process.argv[2];
    const observer = native.openDevice("cuda:0", 0);
    const freeBytes = () => native.memoryInfo(observer).freeBytes;
    const workers = async () => {
      const before = freeBytes();
      for (let i = 0; i < ${numWorkers}; i++) {
        const worker = new Worker(work, { eval: true, workerData: process.argv[1] });
        const ended = new Promise((resolve) => worker.once("exit", resolve));
        worker.once("error", () => {});
        await new Promise((resolve) => worker.once("message", resolve));
        ${end}
        await ended;
      }
      console.log(freeBytes() === before ? "alive" : "bytes are lost: " + (before - freeBytes()));
    };
    workers();
  `;
  return runScript(script, device, work);
}

const STARTED = `
  const { parentPort, workerData: name } = require("node:worker_threads");
  const native = require(${JSON.stringify(builtPackage)}).native();
`;

describe.each(["host", "cuda:0"])("a worker with streams and promises in flight on %s", (device) => {
  const pending = "native.whenDone(stream).then(() => {}); native.whenDone(native.defaultStream(device));";

  test.each<[how: string, work: string, end: string]>([
    ["is terminated", `${pending} parentPort.postMessage(1); setInterval(() => {}, 1000);`, "worker.terminate();"],
    [
      "is terminated while it waits",
      "parentPort.postMessage(1); native.synchronizeSync(stream); for (;;);",
      "worker.terminate();",
    ],
    [
      "is terminated while it captures",
      `const graph = native.beginCapture(stream);
       native.fill(memory, 0, 4_000_000, 1, stream);
       native.replayGraph(native.endCapture(graph), stream);
       native.beginCapture(stream);
       native.fill(memory, 0, 4_000_000, 2, stream);
       parentPort.postMessage(1); for (;;);`,
      "worker.terminate();",
    ],
    ["exits", `${pending} parentPort.postMessage(1); process.exit(0);`, ""],
    ["fails", `${pending} parentPort.postMessage(1); process.nextTick(() => { throw new Error("its own"); });`, ""],
    ["comes to its end", `${pending} parentPort.postMessage(1);`, ""],
  ])("%s and leaves nothing behind", (_, work, end) => {
    expect(runWorkers(device, STARTED + BUSY + work, end, 4)).toEqual(ALIVE);
  });
});

test("a worker is terminated while its calls are refused", () => {
  const work = `
    parentPort.postMessage(1);
    for (;;) {
      try { native.fill(1, 2, 3, 4, 5); } catch {}
      try { native.createView({ get keys() { return 1; } }); } catch {}
    }
  `;
  const soon = "await new Promise((resolve) => setTimeout(resolve, i % 5)); worker.terminate();";
  expect(runWorkers("host", STARTED + work, soon, 30)).toEqual(ALIVE);
});
