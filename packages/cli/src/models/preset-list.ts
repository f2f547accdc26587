import { presetNames } from "./find-model.ts";

const LINE_WIDTH = 80;

/** All presets, for the end of a help text. */
export function presetList(): string {
  const lines: string[] = [];
  for (const name of presetNames()) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + name.length + 2 <= LINE_WIDTH) lines[lines.length - 1] = `${line}, ${name}`;
    else lines.push(`  ${name}`);
  }
  return `\nPresets:\n${lines.join(",\n")}`;
}
