const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/** Bytes for people, in powers of 1024 with two digits: 25165824 is "24.00 MiB". Below 1024 it is exact: "512 B". */
export function formatBytes(bytes: number): string {
  if (Math.abs(bytes) < 1024) return `${bytes} B`;
  let value = bytes;
  let unit = -1;
  // 1023.995 would be printed as 1024.00 of the smaller unit.
  while (Math.abs(value) >= 1023.995 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(2)} ${UNITS[unit]}`;
}
