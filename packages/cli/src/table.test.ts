import pc from "picocolors";
import { expect, test } from "vitest";
import { formatTable } from "./table.ts";

test("aligns columns, draws no lines and colours nothing by itself", () => {
  const rows = [
    ["device", "free"],
    ["host", "22 GiB"],
    ["cuda:0", "1 GiB"],
  ];
  expect(formatTable(rows, ["left", "right"])).toBe("device    free\nhost    22 GiB\ncuda:0   1 GiB");
});

test("coloured cells are as wide as they look", () => {
  const { green } = pc.createColors(true);
  const [first, second] = formatTable(
    [
      [green("ok"), "x"],
      ["okay", "y"],
    ],
    ["left", "left"],
  ).split("\n");
  expect(first).toBe(`${green("ok")}    x`);
  expect(second).toBe("okay  y");
});
