import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { VramTracker } from "@kv/vram-tracker";
import { describe, expect, test } from "vitest";
import { type Device, openDevice } from "../src/index.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

describe("what is never disposed", () => {
  test("is given back when it is collected, and reported with the stack of its creation", async () => {
    using device = openDevice("host", { recordStacks: true });
    const tracker = new VramTracker();
    const warnings: (Error & { code?: string; detail?: string })[] = [];
    const leaked: string[] = [];
    tracker.on("leaked", (record) => leaked.push(record.purpose));
    process.on("warning", (warning) => warnings.push(warning));
    forget(device, tracker);
    const isReported = (what: string): boolean => warnings.some(({ message }) => message.includes(what));
    await until(() => tracker.allocationCount === 0 && isReported("12345 bytes") && isReported("a graph of host"));
    process.removeAllListeners("warning");
    expect(leaked).toEqual(["kv_cache"]);
    expect(isReported("a graph of host was collected without dispose()")).toBe(true);
    const warning = warnings.find((each) => each.message.includes("12345 bytes of kv_cache"));
    expect(warning).toMatchObject({ name: "KvLeakWarning", code: "KV_LEAK" });
    expect(warning?.detail).toContain("leaks.test.ts");
  });

  test("is not reported when it was disposed", async () => {
    const warnings: string[] = [];
    process.on("warning", (warning) => warnings.push(warning.message));
    let wasCollected = false;
    const registry = new FinalizationRegistry(() => {
      wasCollected = true;
    });
    using device = openDevice("host");
    useAndDispose(device, registry);
    await until(() => wasCollected);
    process.removeAllListeners("warning");
    expect(warnings).toEqual([]);
  });
});

function forget(device: Device, tracker: VramTracker): void {
  device.allocate(12_345, { tracker, purpose: "kv_cache" });
  device.capture(() => {});
}

function useAndDispose(device: Device, registry: FinalizationRegistry<undefined>): void {
  using memory = device.allocate(100);
  registry.register(memory, undefined);
}

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !isSo(); i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
