import { describe, expect, test } from "vitest";
import { built, FAKE_CUDA } from "./addon.ts";
import { MEMORY_BYTES, OpenResources, VALID_ARGUMENTS } from "./open-resources.ts";
import { CODES, call, codeOf, NAMES, type Name } from "./surface.ts";

// Every function of the addon with right arguments, and with wrong ones at every place: each must be a typed error.

Object.assign(process.env, FAKE_CUDA);
const native = built.native();

function withResources(device: string, run: (open: OpenResources) => void): void {
  const open = new OpenResources(device);
  try {
    run(open);
  } finally {
    open.close();
  }
}

test("every function of the addon is in these tests", () => {
  const functions = Object.entries(native).flatMap(([name, value]) => (typeof value === "function" ? [name] : []));
  expect(functions.sort()).toEqual([...NAMES].sort());
});

describe.each([
  ["host", "cuda:0"],
  ["cuda:0", "host"],
])("on %s", (device, otherDevice) => {
  test.each(NAMES)("%s does its work with valid arguments", async (name) => {
    const open = new OpenResources(device);
    const result = await unlessWithoutKernel(() => call(name, VALID_ARGUMENTS[name](open)));
    if (typeof result === "number" && name !== "elapsedMs") native.release(result as never);
    await native.whenDone(open.stream);
    open.close();
  });

  test.each(NAMES)("%s refuses values of another type, and changes nothing", (name) => {
    const wrong = [undefined, Symbol("no"), 10n, () => {}, "no device", Number.NaN, -1, 0.5, {}];
    withResources(device, (open) => {
      native.fill(open.memory, 0, MEMORY_BYTES, 7, open.stream);
      const valid: unknown[] = VALID_ARGUMENTS[name](open);
      valid.forEach((argument, place) => {
        for (const value of wrong) {
          if (isValidToo(name, place, argument, value)) continue;
          const code = codeOf(() => call(name, valid.with(place, value)));
          expect(CODES, `${name} with ${String(value)} at ${place}`).toContain(code);
        }
      });
      const found = new Uint8Array(MEMORY_BYTES);
      native.downloadSync(open.memory, 0, found, open.stream);
      expect(found.every((byte) => byte === 7)).toBe(true);
    });
  });

  test.each(NAMES)("%s refuses handles that were released, of another kind, or no handles", (name) => {
    withResources(device, (open) => {
      const valid: unknown[] = VALID_ARGUMENTS[name](open);
      const released = native.createEvent(open.device, false);
      native.release(released);
      eachHandle(open, valid, (handle, place) => {
        const codeWith = (value: number): string | undefined => codeOf(() => call(name, valid.with(place, value)));
        const noHandles = [released, handle + 0.5, 2 ** 60].map(codeWith);
        if (name === "release") return expect(noHandles).toEqual([undefined, undefined, undefined]);
        expect(noHandles).toEqual(["DISPOSED", "DISPOSED", "DISPOSED"]);
        for (const other of open.handles) {
          if (open.kindOf(other) !== open.kindOf(handle)) expect(codeWith(other)).toBe("INVALID_ARGUMENT");
        }
      });
    });
  });

  test.each(NAMES)("%s refuses handles of different devices together", (name) => {
    withResources(device, (open) => {
      withResources(otherDevice, (foreign) => {
        const valid: unknown[] = VALID_ARGUMENTS[name](open);
        const others: unknown[] = VALID_ARGUMENTS[name](foreign);
        const places: number[] = [];
        eachHandle(open, valid, (_, place) => places.push(place));
        if (places.length < 2) return;
        for (const place of places) {
          const code = codeOf(() => call(name, valid.with(place, others[place])));
          expect(code, `the ${place}th`).toBe("INVALID_ARGUMENT");
        }
      });
    });
  });
});

test("memory is allocated on streams of its own device only", () => {
  withResources("host", (host) => {
    withResources("cuda:0", (cuda) => {
      for (const [device, stream] of [
        [host.device, cuda.stream],
        [cuda.device, host.stream],
      ] as const) {
        const allocate = (): number => native.allocate(device, stream, 20_000_000, 256, "pool", true);
        expect(allocate).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "stream" }));
      }
    });
  });
});

test("what makes the errors may fail itself", () => {
  const fail = (): boolean => native.isIdle(-1 as never);
  try {
    for (const made of [undefined, null, 5, "text", Symbol("no"), {}]) {
      native.setErrorFactory(() => made as never);
      expect(thrownBy(fail)).toBe(made);
    }
    native.setErrorFactory(() => {
      throw new RangeError("of the factory");
    });
    expect(fail).toThrow("of the factory");
  } finally {
    native.setErrorFactory(built.makeError);
  }
  expect(codeOf(fail)).toBe("DISPOSED");
});

/** The stand-in for the driver has no attention kernels: a call of one has passed all checks when it is looked for. */
function unlessWithoutKernel(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    expect(error).toMatchObject({ code: "CUDA_ERROR", call: "cuModuleGetFunction" });
    return undefined;
  }
}

function thrownBy(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}

function eachHandle(open: OpenResources, args: readonly unknown[], run: (handle: number, place: number) => void): void {
  args.forEach((argument, place) => {
    if (typeof argument === "number" && open.handles.includes(argument)) run(argument, place);
  });
}

/** Values that stand for an absent slot mapping, that are sizes after all, or that nothing is done with. */
function isValidToo(name: Name, place: number, argument: unknown, value: unknown): boolean {
  if (name === "append" && place === 5) return value === undefined;
  if (name === "setErrorFactory") return typeof value === "function";
  if (name === "release") return typeof value === "number";
  return typeof argument === "string" && value === "pool";
}
