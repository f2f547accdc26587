import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { built, FAKE_CUDA } from "./addon.ts";
import { anyArguments, type World } from "./any-arguments.ts";
import { OpenResources } from "./open-resources.ts";
import { CODES, call, NAMES, type Name } from "./surface.ts";

// Whatever it is called with, the addon answers or throws a typed error, and the process lives on.

Object.assign(process.env, FAKE_CUDA);
const native = built.native();

describe.each([
  ["host", "cuda:0"],
  ["cuda:0", "host"],
])("on %s", (device, otherDevice) => {
  test.each(NAMES)("%s survives any arguments", async (name) => {
    const property = fc.asyncProperty(anyArguments(name), async (make) => {
      const world = { open: new OpenResources(device), foreign: new OpenResources(otherDevice) };
      await survive(name, world, make(world));
      world.open.close();
      world.foreign.close();
    });
    // The same ones in every run: what fails is a change of the code.
    await fc.assert(property, { numRuns: 60, seed: 20 });
  });
});

/** Calls, and gives back what that opened. */
async function survive(name: Name, world: World, args: readonly unknown[]): Promise<void> {
  try {
    const result = await call(name, args);
    if (name === "setErrorFactory") native.setErrorFactory(built.makeError);
    if (name === "adjustExternalMemory") native.adjustExternalMemory(-(args[0] as number));
    if (name.startsWith("create") || name === "allocate") native.release(result as never);
    if (name === "openDevice" || name === "defaultStream") native.release(result as never);
    if (name === "beginCapture" || name === "endCapture") native.release(result as never);
    await native.whenDone(world.open.stream);
  } catch (error) {
    expect([...CODES, "CALLER"], `${name}: ${String(error)}`).toContain((error as { code?: string }).code);
  }
}
