import { describe, expect, test } from "vitest";
import { codeBlocksOf } from "./code-blocks.ts";

describe("codeBlocksOf", () => {
  test("finds TypeScript and JavaScript, with their lines, in lists too", () => {
    const markdown = [
      "# Title",
      "```ts",
      "const a = 1;",
      "```",
      "- point",
      "  ```js",
      "  const b = 2;",
      "    c();",
      "  ```",
      "~~~cjs",
      "require('x');",
      "~~~",
      "```sh",
      "rm -r build",
      "```",
      "    const indented = 1;",
      "```",
      "no language",
      "```",
    ].join("\n");
    expect(codeBlocksOf(markdown)).toEqual([
      { source: "const a = 1;", firstLine: 3, language: "ts", noRun: undefined },
      { source: "const b = 2;\n  c();", firstLine: 7, language: "js", noRun: undefined },
      { source: "require('x');", firstLine: 11, language: "cjs", noRun: undefined },
    ]);
  });

  test("a block opts out with a reason", () => {
    expect(codeBlocksOf("```ts no-run needs a server\n```")[0]?.noRun).toBe("needs a server");
  });

  test.each(["no-run", "norun because", "skip"])('"%s" is not a way out', (infoString) => {
    expect(() => codeBlocksOf(`text\n\n\`\`\`ts ${infoString}\n\`\`\``)).toThrow(`line 3: "${infoString}"`);
  });
});
