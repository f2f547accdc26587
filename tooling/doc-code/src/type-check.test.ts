import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { typeCheck } from "./type-check.ts";

const folder = fileURLToPath(new URL("..", import.meta.url));

test("gives the errors of each source at its line of the document", () => {
  const errors = typeCheck(
    [
      { document: "docs/a.md", firstLine: 10, source: 'const text: string = "same name";\ntext.length;' },
      { document: "docs/b.md", firstLine: 20, source: "const text: string = 1;" },
      {
        document: "docs/b.md",
        firstLine: 30,
        source: 'import { VramTracker } from "@kv/vram-tracker";\n\nnew VramTracker().totalUsage = 1;',
      },
    ],
    folder,
  );
  expect(errors).toEqual([
    [],
    [expect.stringMatching(/^docs\/b\.md:20:7: error TS2322/)],
    [expect.stringMatching(/^docs\/b\.md:32:19: error TS2540/)],
  ]);
});
