/** Keys or values of one layer as plain bytes: [block][token][head]. Knows no strides and no native code. */
export type Plane = Uint8Array[][][];

export interface PlaneShape {
  readonly numBlocks: number;
  readonly tokensPerBlock: number;
  readonly numKvHeads: number;
  readonly headBytes: number;
}

/** Every byte of a plane that nobody has written: not a number in any type. */
export const POISON_BYTE = 0xff;

export function poisonedPlane(shape: PlaneShape): Plane {
  return Array.from({ length: shape.numBlocks }, () =>
    Array.from({ length: shape.tokensPerBlock }, () =>
      Array.from({ length: shape.numKvHeads }, () => new Uint8Array(shape.headBytes).fill(POISON_BYTE)),
    ),
  );
}

/** All bytes of a plane in the order of its axes. */
export function bytesOf(plane: Plane): Buffer {
  return Buffer.concat(plane.flat(2));
}

/** What append means: token i of `packed` goes to slots[i], unless there is no such slot. */
export function appendTo(plane: Plane, shape: PlaneShape, packed: Uint8Array, slots: readonly number[]): void {
  const { tokensPerBlock, numKvHeads, headBytes } = shape;
  slots.forEach((slot, token) => {
    const heads = plane[Math.floor(slot / tokensPerBlock)]?.[slot % tokensPerBlock];
    if (slot < 0 || heads === undefined) return;
    heads.forEach((head, h) => {
      const start = (token * numKvHeads + h) * headBytes;
      head.set(packed.subarray(start, start + headBytes));
    });
  });
}

/** What copying blocks means. */
export function copyBlocksOf(plane: Plane, pairs: readonly { from: number; to: number }[]): void {
  for (const { from, to } of pairs) plane[to] = (plane[from] ?? []).map((token) => token.map((head) => head.slice()));
}
