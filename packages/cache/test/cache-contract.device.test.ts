import { KV_DTYPES } from "@kv/config";
import { type Device, openDevice } from "@kv/device-memory";
import { afterAll, beforeAll, describe, inject } from "vitest";
import { type CacheLayout, cacheContract } from "./cache-contract.ts";
import { ContiguousDriver, PagedDriver } from "./cache-drivers.ts";

const LAYOUTS: readonly CacheLayout[] = [
  { name: "KVCache", fullCode: "CACHE_FULL", make: (...args) => new ContiguousDriver(...args) },
  { name: "PagedKVCache", fullCode: "OUT_OF_BLOCKS", make: (...args) => new PagedDriver(...args) },
];
const missing = inject("deviceMissing");

describe.skipIf(missing !== "")(`the contract of caches on ${inject("device")} ${missing}`, () => {
  let device: Device;
  beforeAll(() => {
    device = openDevice(inject("device"));
  });
  afterAll(() => device.dispose());

  describe.each(LAYOUTS)("$name", (layout) => {
    describe.each(KV_DTYPES)("of %s", (dtype) => {
      cacheContract(layout, dtype, () => device);
    });
  });
});
