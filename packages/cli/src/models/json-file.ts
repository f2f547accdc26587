import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { InputError } from "../input-error.ts";

/** Far more than any config.json; weights given by mistake stop here, unread. */
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * The parsed contents of a JSON file; of a folder, the file of that name in it, its config.json unless said.
 *
 * @throws InputError naming the path and what is wrong with it
 */
export function readJsonFile(given: string, nameInFolder = "config.json"): unknown {
  const file = fileOf(given, nameInFolder);
  try {
    // Some editors put a mark of the byte order before the text, which JSON does not know.
    return JSON.parse(readFileSync(file, "utf8").replace(/^\uFEFF/, ""));
  } catch (error) {
    if (error instanceof SyntaxError) throw new InputError(file, `${file} is not valid JSON: ${error.message}`);
    throw unreadable(file, error);
  }
}

function fileOf(given: string, nameInFolder: string): string {
  try {
    const status = statSync(given);
    if (status.isDirectory()) return path.join(given, nameInFolder);
    if (status.size <= MOST_BYTES) return given;
    throw new InputError(
      given,
      `${given} has ${status.size} bytes, too many for a ${nameInFolder}; give the model's ${nameInFolder}`,
    );
  } catch (error) {
    throw error instanceof InputError ? error : unreadable(given, error);
  }
}

function unreadable(file: string, error: unknown): InputError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = code === "ENOENT" ? "does not exist" : `cannot be read (${code ?? message})`;
  return new InputError(file, `${file} ${reason}`);
}
