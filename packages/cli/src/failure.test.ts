import { InvalidConfigError, SizeOverflowError, UnsupportedModelError } from "@kv/config";
import { CudaError, DeviceNotFoundError, DriverError, OutOfMemoryError, SystemError } from "@kv/device-memory";
import { CommanderError } from "commander";
import { expect, test } from "vitest";
import { describeFailure } from "./failure.ts";
import { InputError } from "./input-error.ts";

test.each([
  [new InputError("a.json", "a.json does not exist"), 2, "INPUT"],
  [new InvalidConfigError("head_dim", -1, "a whole number"), 2, "INVALID_CONFIG"],
  [new UnsupportedModelError("rwkv", "layers[0].kind", "state", "full attention"), 2, "UNSUPPORTED_MODEL"],
  [new SizeOverflowError("the cache", 2n ** 60n), 2, "SIZE_OVERFLOW"],
  [new CommanderError(1, "commander.unknownOption", "error: unknown option '--x'"), 2, "USAGE"],
  [new OutOfMemoryError("host: wanted 2 bytes", "host", 2, 1, 3), 3, "OUT_OF_MEMORY"],
  [new DeviceNotFoundError("no cuda:9", "cuda:9", "host"), 4, "DEVICE_NOT_FOUND"],
  [new DriverError("no driver", "NO_DRIVER", "libcuda.so.1"), 4, "NO_DRIVER"],
  [new CudaError("failed", "cuInit", "CUDA_ERROR_UNKNOWN", 999), 4, "CUDA_ERROR"],
  [new SystemError("no thread", "pthread_create"), 4, "SYSTEM_ERROR"],
  [new TypeError("x is not a function"), 70, "INTERNAL"],
  ["a text", 70, "INTERNAL"],
])("%s ends with %d %s", (error, exitCode, code) => {
  expect(describeFailure(error)).toMatchObject({ exitCode, code });
});

test("keeps the numbers of an error, exact ones as text", () => {
  const outOfMemory = new OutOfMemoryError("host: wanted 2 bytes", "host", 2, 1, 3);
  expect(describeFailure(outOfMemory).fields).toEqual({ device: "host", wantedBytes: 2, freeBytes: 1, totalBytes: 3 });
  const overflow = new SizeOverflowError("the cache", 2n ** 60n);
  expect(describeFailure(overflow).fields).toMatchObject({ bytes: "1152921504606846976" });
});

test("says it in one line", () => {
  const error = new CommanderError(
    1,
    "commander.unknownOption",
    "error: unknown option '--jsn'\n(Did you mean --json?)",
  );
  expect(describeFailure(error).message).toBe("unknown option '--jsn' (Did you mean --json?); see kv --help");
});
