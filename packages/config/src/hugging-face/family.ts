import type { ConfigReader } from "../config-reader.ts";
import type { LayerShape } from "../layer-shape.ts";

/** How the `config.json` of one `model_type` is read. */
export interface Family {
  /** What the library's configuration class fills in for keys that the file leaves out. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** The caches of the main stack. */
  readonly read: (config: ConfigReader) => LayerShape[];
}

/** Families by `model_type`. */
export type Families = Readonly<Record<string, Family>>;

/** The same family under several names. */
export function named(names: readonly string[], family: Family): Families {
  return Object.fromEntries(names.map((name) => [name, family]));
}
