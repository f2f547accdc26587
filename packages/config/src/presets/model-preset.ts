/**
 * A well-known model: the keys of its published `config.json` that decide about its cache. These are facts; the file they
 * come from belongs to the model's publisher, under the licence that its repository names.
 */
export interface ModelPreset {
  /** The name of its repository on Hugging Face. */
  readonly id: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Where the values were read. */
  readonly source: string;
}

/** The first `length` items of a list that repeats. */
export function repeated<Item>(unit: readonly Item[], length: number): readonly Item[] {
  return Array.from({ length }, (_, i) => unit[i % unit.length] as Item);
}
