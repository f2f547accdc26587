import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { codeBlocksOf } from "../src/code-blocks.ts";
import { findDocuments } from "../src/documents.ts";
import { runModule } from "../src/run-module.mjs";
import { typeCheck } from "../src/type-check.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const folder = fileURLToPath(new URL("..", import.meta.url));

interface Manifest {
  readonly name: string;
  readonly exports?: Record<string, unknown>;
  readonly devDependencies?: Record<string, string>;
}

const documents = findDocuments(root)
  .map((document) => ({ document, blocks: codeBlocksOf(readFileSync(path.join(root, document), "utf8")) }))
  .filter(({ blocks }) => blocks.length > 0);

test("every package that a user can import can be imported here", () => {
  const manifestOf = (path: string): Manifest => JSON.parse(readFileSync(`${root}/${path}/package.json`, "utf8"));
  const importable = readdirSync(`${root}/packages`)
    .map((name) => manifestOf(`packages/${name}`))
    .filter(({ exports }) => exports?.["."] !== undefined)
    .map(({ name }) => name);
  const { devDependencies } = manifestOf("tooling/doc-code");
  expect(Object.keys(devDependencies ?? {})).toEqual(expect.arrayContaining(importable));
});

describe.each(documents)("$document", ({ document, blocks }) => {
  const place = (line: number): string => `${document}:${line}`;

  for (const { source, firstLine, language } of blocks.filter((block) => block.noRun === undefined)) {
    test(`${place(firstLine)} runs`, async () => {
      const { passed, output } = await runModule({
        source,
        sourceFile: path.join(root, document),
        firstLine,
        format: language === "cjs" ? "cjs" : "esm",
        folder,
      });
      if (!passed) expect.fail(`${place(firstLine)} failed\n${output.replaceAll(root, "")}`);
    });
  }

  test("types are right", () => {
    const sources = blocks.filter(({ language }) => language === "ts").map((block) => ({ document, ...block }));
    expect(typeCheck(sources, folder).flat()).toEqual([]);
  });
});
