import fc from "fast-check";
import { built } from "./addon.ts";
import { type OpenResources, VALID_ARGUMENTS } from "./open-resources.ts";
import type { Name } from "./surface.ts";

/** What getters of arguments throw: it must come out as it went in. */
export const thrownByCaller: Error = Object.assign(new Error("thrown by the caller's own code"), { code: "CALLER" });

/** What is open on the device that is called, and on another one. */
export interface World {
  readonly open: OpenResources;
  readonly foreign: OpenResources;
}

type Make = (world: World, valid: unknown) => unknown;

/** Arguments for a function: anything at all, or valid ones of which some are changed into something near, or far. */
export function anyArguments(name: Name): fc.Arbitrary<(world: World) => unknown[]> {
  const anything = fc.array(fc.anything({ withBigInt: true }), { maxLength: 11 });
  const changes = fc.array(fc.tuple(fc.nat({ max: 10 }), change()), { minLength: 1, maxLength: 3 });
  const made = fc.oneof(
    { weight: 1, arbitrary: anything.map((args) => () => args) },
    { weight: 2, arbitrary: changes.map((changed) => (world: World) => changedArguments(name, world, changed)) },
  );
  return made.map((make) => (world) => affordable(name, make(world)));
}

function changedArguments(name: Name, world: World, changes: readonly [number, Make][]): unknown[] {
  const args: unknown[] = VALID_ARGUMENTS[name](world.open);
  for (const [place, make] of changes) {
    const at = args.length === 0 ? place : place % args.length;
    args[at] = make(world, args[at]);
  }
  return args;
}

/** No test may take all the memory of the machine: sizes are small, or more than any machine has. */
function affordable(name: Name, args: readonly unknown[]): unknown[] {
  if (name !== "allocate") return [...args];
  return args.map((value) => (typeof value === "number" && value > 2 ** 16 && value < 2 ** 50 ? 2 ** 16 : value));
}

function change(): fc.Arbitrary<Make> {
  const near = fc.oneof(numbers(), handles(), bytes(), hostile(), anything());
  const ofField = fc.tuple(fc.nat({ max: 30 }), fc.boolean(), near);
  return fc.oneof(
    near,
    ofField.map(
      ([field, isDeep, make]): Make =>
        (world, valid) =>
          changedField(world, valid, field, isDeep, make),
    ),
  );
}

/** A copy of an object in which one field is changed, or one of that field's own fields. */
function changedField(world: World, valid: unknown, place: number, isDeep: boolean, make: Make): unknown {
  if (typeof valid !== "object" || valid === null || ArrayBuffer.isView(valid)) return make(world, valid);
  const fields = Object.entries(valid);
  const [name, value] = fields[place % fields.length] ?? ["", undefined];
  const changed = isDeep ? changedField(world, value, place >> 2, false, make) : make(world, value);
  return { ...valid, [name]: changed };
}

function anything(): fc.Arbitrary<Make> {
  return fc.anything({ withBigInt: true }).map((value) => () => value);
}

function numbers(): fc.Arbitrary<Make> {
  const around = [
    0,
    -0,
    1,
    2,
    15,
    255,
    256,
    4095,
    4096,
    4097,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32,
    2 ** 50,
    2 ** 53 - 1,
    2 ** 53,
  ];
  return fc.constantFrom(...around, -1, 0.5, Number.NaN, Infinity, 1e300).map((value) => () => value);
}

function handles(): fc.Arbitrary<Make> {
  return fc.tuple(fc.nat({ max: 9 }), fc.constantFrom("open", "foreign", "released")).map(
    ([i, of]): Make =>
      (world) => {
        if (of !== "released") return world[of as keyof World].handles[i];
        const event = built.native().createEvent(world.open.device, false);
        built.native().release(event);
        return event;
      },
  );
}

function bytes(): fc.Arbitrary<Make> {
  return fc.constantFrom<Make>(
    () => new Int32Array(new SharedArrayBuffer(16)),
    () => new BigUint64Array(3),
    () => new DataView(new ArrayBuffer(9), 3),
    () => detached(),
    () => new ArrayBuffer(16),
    () => new Int32Array([0, 1, 1, 2]),
    () => new Int32Array([-1, 4]),
    ({ open }) => new Uint8Array(open.buffer),
    ({ foreign }) => foreign.buffer,
  );
}

/** Objects whose getters release everything that the call uses, or throw. */
function hostile(): fc.Arbitrary<Make> {
  return fc.tuple(fc.nat({ max: 30 }), fc.boolean()).map(
    ([place, throws]): Make =>
      ({ open }, valid) => {
        if (typeof valid !== "object" || valid === null || ArrayBuffer.isView(valid)) return valid;
        const fields = Object.entries(valid);
        const [name, value] = fields[place % fields.length] ?? ["", undefined];
        return Object.defineProperty({ ...valid }, name, {
          get() {
            if (throws) throw thrownByCaller;
            open.close();
            return value;
          },
        });
      },
  );
}

export function detached(): Uint8Array {
  const array = new Uint8Array(16);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
}
