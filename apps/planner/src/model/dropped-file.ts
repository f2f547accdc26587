import { weightsFromIndex } from "@kv/config";
import { OWN_MODEL, type PlannerState } from "../state/planner-state.ts";
import { readGguf } from "./gguf-file.ts";

/** More than any config.json or index has; weights given by mistake stop here, unread. */
const MOST_TEXT_BYTES = 2 ** 24;

/**
 * What a file changes in the page's state: a config.json or GGUF file is the model, a GGUF file also says what its weights
 * take, and a `model.safetensors.index.json` says that alone. JSON that cannot be read becomes the model's text, to be put
 * right there.
 *
 * @throws GgufReadError for a GGUF file, InvalidConfigError for an index without a total, RangeError for JSON far too long
 */
export async function changeByFile(file: File): Promise<Partial<PlannerState>> {
  if (await isGguf(file)) return changeByGguf(file);
  if (file.size > MOST_TEXT_BYTES) {
    throw new RangeError(
      `${file.name} has ${file.size} bytes, too many for a config.json; give the model's config.json`,
    );
  }
  const text = await file.text();
  const index = indexOf(text);
  return index === null
    ? { model: OWN_MODEL, source: text, file: file.name }
    : { weights: `${weightsFromIndex(index)}` };
}

async function isGguf(file: File): Promise<boolean> {
  const magic = await file.slice(0, 4).text();
  return magic === "GGUF" || file.name.toLowerCase().endsWith(".gguf");
}

async function changeByGguf(file: File): Promise<Partial<PlannerState>> {
  const { text, weightsBytes } = await readGguf(file);
  const model = { model: OWN_MODEL, source: text, file: file.name };
  // One file of several holds only a part of the weights.
  const isShard = /-\d{5}-of-(?!00001)\d{5}\.gguf$/i.test(file.name);
  return { ...model, weights: weightsBytes === null || isShard ? "" : `${weightsBytes}` };
}

/** The parsed index of safetensors; null if the text is none. */
function indexOf(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && Object.hasOwn(value, "weight_map") ? value : null;
  } catch {
    return null;
  }
}
