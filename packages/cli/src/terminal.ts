import pc from "picocolors";

/** A stream of text and whether people watch it. */
export type TextStream = NodeJS.WritableStream & { readonly isTTY?: boolean | undefined };

/** Where a command writes: what was asked for to `stdout`, errors and progress to `stderr`. */
export interface Terminal {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Functions that colour a text, or leave it as it is. */
export type Colors = ReturnType<typeof pc.createColors>;

/** Colours for a stream: only on a terminal that can show them, and never against NO_COLOR (https://no-color.org). */
export function colorsFor(stream: TextStream, env: Terminal["env"]): Colors {
  return pc.createColors(stream.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb");
}
