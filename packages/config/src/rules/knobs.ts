import { InvalidConfigError } from "../errors.ts";

/** As many as layers that a model may have. */
const MOST_ITEMS = 10_000;

function isShare(value: unknown): value is number {
  return typeof value === "number" && value > 0 && value <= 1;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

/** Reads an engine's knobs: each is checked where it is read, and a knob that the engine does not have is refused. */
export class Knobs {
  constructor(
    readonly values: Readonly<Record<string, unknown>>,
    known: readonly string[],
  ) {
    for (const name of Object.keys(values)) {
      if (!known.includes(name))
        throw new InvalidConfigError(`knobs.${name}`, values[name], `one of ${known.join(", ")}`);
    }
  }

  count(name: string, fallback: number, least = 1): number {
    const value = this.values[name] ?? fallback;
    if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
    throw new InvalidConfigError(`knobs.${name}`, value, `a whole number from ${least}`);
  }

  optionalCount(name: string): number | undefined {
    return this.values[name] === undefined ? undefined : this.count(name, 0);
  }

  /** A part of a whole: more than 0, at most 1. */
  share(name: string, fallback: number): number {
    const value = this.values[name] ?? fallback;
    if (isShare(value)) return value;
    throw new InvalidConfigError(`knobs.${name}`, value, "a number above 0, at most 1");
  }

  /** A list of parts; empty if it is not given. */
  shares(name: string): readonly number[] {
    return this.#list(name, isShare, "numbers above 0, at most 1");
  }

  /** A list of counts, or one count alone; empty if it is not given. */
  counts(name: string): readonly number[] {
    return this.#list(name, isCount, "whole numbers from 1");
  }

  #list(name: string, isItem: (item: unknown) => item is number, items: string): readonly number[] {
    const value = this.values[name];
    if (value === undefined) return [];
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (list.length > 0 && list.length <= MOST_ITEMS && list.every(isItem)) return list;
    throw new InvalidConfigError(`knobs.${name}`, value, `one or a list of at most ${MOST_ITEMS} ${items}`);
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.values[name] ?? fallback;
    if (typeof value === "boolean") return value;
    throw new InvalidConfigError(`knobs.${name}`, value, "true or false");
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[], fallback: Choice): Choice {
    const value = this.values[name] ?? fallback;
    const choice = choices.find((each) => each === value);
    if (choice === undefined) throw new InvalidConfigError(`knobs.${name}`, value, `one of ${choices.join(", ")}`);
    return choice;
  }
}
