import { Writable } from "node:stream";
import type { Terminal } from "../src/terminal.ts";

/** A stream that keeps what was written, as a terminal or not. */
export class TextSink extends Writable {
  text = "";
  readonly isTTY: boolean;
  readonly columns: number = 120;

  constructor(isTTY = false) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
  }

  override _write(chunk: string, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk;
    done();
  }
}

/** A terminal whose text can be looked at. */
export interface TestTerminal extends Terminal {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
}

export function testTerminal(options: { isTTY?: boolean; env?: Record<string, string> } = {}): TestTerminal {
  return { stdout: new TextSink(options.isTTY), stderr: new TextSink(options.isTTY), env: options.env ?? {} };
}
