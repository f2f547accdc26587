import { parseBytes } from "@kv/config";

/**
 * What a field says, for the library to judge: undefined if it is empty, a number if it is one (`8192`, `8,192`, `-1`,
 * `0.5`), and otherwise the text itself, so that the library's error quotes it.
 */
export function givenNumber(text: string): number | undefined {
  const plain = text.trim().replaceAll(/[\s,_]/g, "");
  if (plain === "") return undefined;
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain);
  return isNumber ? Number(plain) : (text.trim() as unknown as number);
}

/** Numbers from a field such as `512, 512, 4096`, each judged like one alone; undefined if it is empty. */
export function givenNumbers(text: string): readonly number[] | undefined {
  if (text.trim() === "") return undefined;
  return text.split(",").map((item) => givenNumber(item) ?? ("" as unknown as number));
}

/** Bytes from a field such as `80GiB`; undefined if it is empty. @throws InvalidConfigError */
export function givenBytes(text: string): number | undefined {
  return text.trim() === "" ? undefined : parseBytes(text);
}

/** `true`, `false`, or, if it is neither, the text itself for the library to refuse; undefined if it is empty. */
export function givenFlag(text: string): boolean | undefined {
  if (text === "") return undefined;
  if (text === "true" || text === "false") return text === "true";
  return text as unknown as boolean;
}
