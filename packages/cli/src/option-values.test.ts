import { InvalidArgumentError } from "commander";
import { expect, test } from "vitest";
import { parseCount, parseDeviceName } from "./option-values.ts";

test.each(["1", "4096", "9007199254740991"])("parseCount takes %s", (text) => {
  expect(parseCount(text)).toBe(Number(text));
});

test.each(["0", "-1", "1.5", "1e3", "0x10", "", " ", "4096 tokens", "9007199254740992", "NaN"])(
  "parseCount refuses %j",
  (text) => {
    expect(() => parseCount(text)).toThrow(InvalidArgumentError);
  },
);

test.each(["auto", "host", "cuda:0", "cuda:12"])("parseDeviceName takes %s", (text) => {
  expect(parseDeviceName(text)).toBe(text);
});

test.each(["cuda", "cuda:", "cuda:01", "cuda:-1", "cuda:0 ", "gpu:0", "HOST", ""])(
  "parseDeviceName refuses %j",
  (text) => {
    expect(() => parseDeviceName(text)).toThrow(InvalidArgumentError);
  },
);
