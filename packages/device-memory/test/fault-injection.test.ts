import { VramTracker } from "@kv/vram-tracker";
import { expect, test } from "vitest";
import { openDevice } from "../src/index.ts";
import { failAtDriverCall, useFakeDriver } from "./fake-driver.ts";

useFakeDriver({ bytes: 64 * 1024 * 1024 });

const CODES = ["CUDA_ERROR", "OUT_OF_MEMORY", "DRIVER_TOO_OLD", "NO_DRIVER"];

test("every driver call that fails is a typed error that leaks nothing", async () => {
  using observer = openDevice("cuda:0");
  const tracker = new VramTracker();
  await lifeCycle(tracker);
  const freeBytes = observer.memoryInfo().freeBytes;
  let numFailures = 0;
  // Some failures are no error, such as those of a second attempt; after so many in a row all calls have had their turn.
  for (let call = 1, successes = 0; successes < 50; call++) {
    failAtDriverCall(call);
    const error = await lifeCycle(tracker).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    failAtDriverCall(0);
    expect(observer.memoryInfo().freeBytes, `after a failure at call ${call}`).toBe(freeBytes);
    expect(tracker.allocationCount, `call ${call} ${error}`).toBe(0);
    successes = error === undefined ? successes + 1 : 0;
    if (error === undefined) continue;
    numFailures++;
    expect(CODES, String(error)).toContain((error as { code?: string }).code);
  }
  expect(numFailures).toBeGreaterThan(30);
});

/** One of everything that a device can do. */
async function lifeCycle(tracker: VramTracker): Promise<void> {
  using device = openDevice("cuda:0");
  using stream = device.createStream();
  using memory = device.allocate(10_000, { tracker, alignment: 4096 });
  using plain = device.allocate(10_000, { tracker, kind: "plain", stream });
  using pinned = device.allocatePinned(10_000);
  using start = stream.record();
  pinned.bytes.fill(3);
  memory.copyFrom(pinned, stream);
  plain.copyFrom(memory, stream);
  plain.slice(0, 100).fill(9);
  using end = stream.record();
  device.defaultStream.wait(end);
  using graph = device.capture(() => plain.fill(4, stream), stream);
  graph.replay();
  graph.replay(device.defaultStream);
  await plain.copyFromHost(new Uint8Array(10_000), stream);
  await plain.copyToHost(new Uint8Array(10_000));
  memory.copyToHostSync(new Uint8Array(10_000));
  end.synchronizeSync();
  end.elapsedMsSince(start);
  device.memoryInfo();
  device.trimPool();
  await stream.synchronize();
}
