import { InvalidConfigError } from "../errors.ts";

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
