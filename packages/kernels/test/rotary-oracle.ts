/** Rotary embedding by its definition, in float64: the elements of a pair are a complex number that turns by an angle. */
export function rotate(
  head: Float64Array,
  style: "half-split" | "interleaved",
  width: number,
  angles: readonly number[],
  scaling = 1,
): Float64Array {
  const rotated = head.slice();
  angles.forEach((angle, i) => {
    const [real, imaginary] = style === "half-split" ? [i, i + width / 2] : [2 * i, 2 * i + 1];
    const radius = scaling * Math.hypot(head[real] ?? Number.NaN, head[imaginary] ?? Number.NaN);
    const turned = Math.atan2(head[imaginary] ?? Number.NaN, head[real] ?? Number.NaN) + angle;
    rotated[real] = radius * Math.cos(turned);
    rotated[imaginary] = radius * Math.sin(turned);
  });
  return rotated;
}

/** Inverse frequencies as models have them, in fp32: base^(-2 i / width). */
export function inverseFrequencies(width: number, base = 10_000): Float32Array {
  return Float32Array.from({ length: width / 2 }, (_, i) => base ** ((-2 * i) / width));
}
