import Table from "cli-table3";

/** How a column is aligned. */
export type Alignment = "left" | "right";

const BLANK = "";

/** A table without lines around it, two spaces between columns. The head is a row. Coloured texts keep their width. */
export function formatTable(rows: readonly (readonly string[])[], alignments: readonly Alignment[]): string {
  const table = new Table({
    chars: {
      top: BLANK,
      "top-mid": BLANK,
      "top-left": BLANK,
      "top-right": BLANK,
      bottom: BLANK,
      "bottom-mid": BLANK,
      "bottom-left": BLANK,
      "bottom-right": BLANK,
      left: BLANK,
      "left-mid": BLANK,
      mid: BLANK,
      "mid-mid": BLANK,
      right: BLANK,
      "right-mid": BLANK,
      middle: "  ",
    },
    // The library colours heads and lines by itself unless told not to.
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    colAligns: [...alignments],
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}
