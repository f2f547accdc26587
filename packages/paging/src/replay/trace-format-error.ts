/** A trace file does not have the form that its reader expects. */
export class TraceFormatError extends Error {
  readonly code = "TRACE_FORMAT";

  constructor(
    /** From 1, of the text after decompression. */
    readonly line: number,
    /** The field or column that is meant; "" for the line or file as a whole. */
    readonly field: string,
    readonly expected: string,
    readonly found: string,
  ) {
    super(`line ${line} of the trace: wanted ${expected}${field === "" ? "" : ` as ${field}`}, found ${found}`);
  }
}
