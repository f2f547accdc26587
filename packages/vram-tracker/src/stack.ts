/** The calls that led here, innermost first, without those inside `below` where the engine can leave them out. */
export function captureStack(below: (...args: never[]) => unknown): string {
  const holder = new Error();
  // Only V8 and recent other engines have it; a browser without it shows the tracker's own frame too.
  (Error as { captureStackTrace?: (target: object, below: unknown) => void }).captureStackTrace?.(holder, below);
  return (holder.stack ?? "").replace(/^Error.*\n/, "");
}
