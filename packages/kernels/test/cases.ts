import { elementBytes, type KvDtype } from "@kv/config";

/** One row of the matrix: a dtype, the order of the axes inside a block, and a shape. */
export interface KernelCase {
  readonly name: string;
  readonly dtype: KvDtype;
  /** NHD: token, head, element. HND: head, token, element. */
  readonly axisOrder: "NHD" | "HND";
  readonly numBlocks: number;
  readonly tokensPerBlock: number;
  readonly numKvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
}

const SHAPES = [
  { numBlocks: 1, tokensPerBlock: 300, numKvHeads: 8, keyDim: 128, valueDim: 128 },
  { numBlocks: 40, tokensPerBlock: 16, numKvHeads: 2, keyDim: 64, valueDim: 64 },
  { numBlocks: 7, tokensPerBlock: 1, numKvHeads: 1, keyDim: 80, valueDim: 80 },
  { numBlocks: 3, tokensPerBlock: 512, numKvHeads: 1, keyDim: 96, valueDim: 96 },
  { numBlocks: 9, tokensPerBlock: 5, numKvHeads: 3, keyDim: 192, valueDim: 128 },
  // Widths that no 16-byte word divides.
  { numBlocks: 6, tokensPerBlock: 4, numKvHeads: 3, keyDim: 33, valueDim: 7 },
];

const DTYPES: readonly KvDtype[] = ["fp16", "bf16", "fp32", "fp8_e4m3"];

/** Every type of element, or those that KV_TEST_DTYPES=bf16,fp16 names. */
export function wantedDtypes(): readonly KvDtype[] {
  const wanted = process.env["KV_TEST_DTYPES"]?.split(",") ?? DTYPES;
  const unknown = wanted.filter((dtype) => !DTYPES.includes(dtype as KvDtype));
  if (unknown.length > 0) throw new Error(`KV_TEST_DTYPES names ${unknown}; there are ${DTYPES}`);
  return DTYPES.filter((dtype) => wanted.includes(dtype));
}

/** Under compute-sanitizer, where a launch takes a hundred times as long: few cases of each kernel, and none that is large. */
export const isSmall: boolean = process.env["KV_TEST_SMALL"] === "1";

/** The whole matrix, or the part that KV_TEST_DTYPES names. */
export function kernelCases(): KernelCase[] {
  const axisOrders = isSmall ? (["NHD"] as const) : (["NHD", "HND"] as const);
  const shapes = isSmall ? SHAPES.filter(({ keyDim }) => [128, 64, 33].includes(keyDim)) : SHAPES;
  return wantedDtypes().flatMap((dtype) =>
    axisOrders.flatMap((axisOrder) =>
      shapes.map((shape) => ({
        ...shape,
        dtype,
        axisOrder,
        name: `${dtype} ${axisOrder} ${shape.numBlocks}x${shape.tokensPerBlock} tokens, ${shape.numKvHeads} heads of ${shape.keyDim}/${shape.valueDim}`,
      })),
    ),
  );
}

export interface PackedStrides {
  readonly headBytes: number;
  readonly blockStrideBytes: number;
  readonly tokenStrideBytes: number;
  readonly headStrideBytes: number;
  readonly sizeBytes: number;
}

/** Strides and size of a plane whose blocks, tokens and heads are packed. */
export function packedStrides(testCase: KernelCase, headDim: number): PackedStrides {
  const headBytes = headDim * elementBytes(testCase.dtype);
  const { tokensPerBlock, numKvHeads, numBlocks } = testCase;
  const blockStrideBytes = tokensPerBlock * numKvHeads * headBytes;
  const isNhd = testCase.axisOrder === "NHD";
  return {
    headBytes,
    blockStrideBytes,
    tokenStrideBytes: isNhd ? numKvHeads * headBytes : headBytes,
    headStrideBytes: isNhd ? headBytes : tokensPerBlock * headBytes,
    sizeBytes: numBlocks * blockStrideBytes,
  };
}
