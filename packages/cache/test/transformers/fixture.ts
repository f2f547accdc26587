import { readFileSync } from "node:fs";

/** Attention of one layer of a model of transformers, as make_fixtures.py describes it. */
export interface TransformersFixture {
  readonly name: string;
  readonly numTokens: number;
  readonly numQueryHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  /** 0: none */
  readonly windowTokens: number;
  /** Of cosines and sines. */
  readonly scaling: number;
  readonly softmaxScale: number;
  readonly ropeType: string;
  readonly inverseFrequencies: Float32Array;
  /** Before the rotary embedding, [token, head, element]; numbers that bf16 has. */
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  /** [token, query head, element] */
  readonly output: Float32Array;
}

type Description = Omit<TransformersFixture, "inverseFrequencies" | "q" | "k" | "v" | "output">;

export function transformersFixtures(): TransformersFixture[] {
  const { cases } = JSON.parse(readFileSync(new URL("fixtures.json", import.meta.url), "utf8")) as {
    cases: Description[];
  };
  return cases.map((description) => {
    const { name, numTokens, numQueryHeads, numKvHeads, headDim } = description;
    const bytes = readFileSync(new URL(`${name}.bin`, import.meta.url));
    let start = 0;
    const take = (count: number, elementBytes: 2 | 4): Float32Array => {
      const part = bytes.subarray(start, start + count * elementBytes);
      start += part.length;
      return Float32Array.from({ length: count }, (_, i) =>
        elementBytes === 4 ? part.readFloatLE(4 * i) : ofBf16(part.readUInt16LE(2 * i)),
      );
    };
    const [ofQueries, ofKeys] = [numQueryHeads, numKvHeads].map((heads) => numTokens * heads * headDim) as [
      number,
      number,
    ];
    const numbers = {
      inverseFrequencies: take(headDim / 2, 4),
      q: take(ofQueries, 2),
      k: take(ofKeys, 2),
      v: take(ofKeys, 2),
      output: take(ofQueries, 4),
    };
    if (start !== bytes.length) throw new Error(`${name}.bin has ${bytes.length} bytes, not ${start}`);
    return { ...description, ...numbers };
  });
}

function ofBf16(word: number): number {
  return new Float32Array(Uint32Array.of(word << 16).buffer)[0] ?? Number.NaN;
}
