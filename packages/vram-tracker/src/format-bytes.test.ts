import { expect, test } from "vitest";
import { formatBytes } from "./format-bytes.ts";

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.00 KiB"],
  [25_165_824, "24.00 MiB"],
  [2 ** 30 - 1, "1.00 GiB"],
  [2_684_354_560, "2.50 GiB"],
  [-1536, "-1.50 KiB"],
  [2 ** 53 - 1, "8.00 PiB"],
])("%d bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
