import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

/** TypeScript that stands in a document. */
export interface DocumentSource {
  readonly document: string;
  readonly firstLine: number;
  readonly source: string;
}

const OPTIONS = {
  target: "es2023",
  lib: ["es2023", "esnext.disposable"],
  types: ["node"],
  module: "nodenext",
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  noEmit: true,
};

/**
 * Type-checks all sources in one run of the compiler, as modules whose imports are found from `folder`.
 *
 * @returns for each source the errors, as `document:line:column: message`
 */
export function typeCheck(sources: readonly DocumentSource[], folder: string): string[][] {
  const build = path.join(folder, "build/types");
  rmSync(build, { recursive: true, force: true });
  mkdirSync(build, { recursive: true });
  // Lines before the source are left empty, so that the compiler counts as the document does.
  for (const [index, { source, firstLine }] of sources.entries()) {
    writeFileSync(path.join(build, `${index}.mts`), `${"\n".repeat(firstLine - 1)}${source}\nexport {};\n`);
  }
  writeFileSync(path.join(build, "tsconfig.json"), JSON.stringify({ compilerOptions: OPTIONS, include: ["*.mts"] }));
  const { stdout, stderr, status } = spawnSync(process.execPath, [compiler(), "--pretty", "false", "-p", build], {
    cwd: build,
    encoding: "utf8",
  });
  const errors = sources.map((): string[] => []);
  for (const [, file, line, column, message] of stdout.matchAll(/^(\d+)\.mts\((\d+),(\d+)\): (.*)$/gm)) {
    const index = Number(file);
    errors[index]?.push(`${sources[index]?.document}:${line}:${column}: ${message}`);
  }
  if (status !== 0 && errors.every((list) => list.length === 0)) throw new Error(`tsc failed:\n${stdout}${stderr}`);
  return errors;
}

function compiler(): string {
  return path.join(path.dirname(createRequire(import.meta.url).resolve("@typescript/native/package.json")), "bin/tsc");
}
