import { describe, expect, test } from "vitest";
import { BUSY, runScript } from "./run-script.ts";

// A process may end at any time: with work in flight, with memory that nobody released. It must end as it wants to.

const STARTED = `const name = process.argv[1]; ${BUSY}`;

describe.each(["host", "cuda:0"])("with work in flight on %s a process ends", (device) => {
  test.each<[how: string, script: string, status: number, stdout: string]>([
    ["by itself", "", 0, ""],
    ["once its promises are settled", "native.whenDone(stream).then(() => console.log('done'));", 0, "done\n"],
    ["before its promises are settled", "native.whenDone(stream).then(console.log); process.exit(0);", 0, ""],
    ["with an exit code of its own", "process.exit(7);", 7, ""],
    ["after a last wait in its exit handler", "process.on('exit', () => native.synchronizeSync(stream));", 0, ""],
    ["in a getter of an argument", "native.createView({ get numBlocks() { process.exit(0); } });", 0, ""],
    [
      "while a graph is replayed, and a stream captured",
      `const capture = native.beginCapture(stream);
       native.fill(memory, 0, 4_000_000, 1, stream);
       native.replayGraph(native.endCapture(capture), stream);
       native.beginCapture(stream);
       native.fill(memory, 0, 4_000_000, 2, stream);`,
      0,
      "",
    ],
    ["after it released everything", "for (const each of [memory, stream, device]) native.release(each);", 0, ""],
  ])("%s", (_, script, status, stdout) => {
    expect(runScript(STARTED + script, device)).toEqual({ status, signal: null, stdout, stderr: "" });
  });

  test("by an error of its own", () => {
    const ended = runScript(`${STARTED} throw new Error('its own');`, device);
    expect(ended).toMatchObject({ status: 1, signal: null, stderr: expect.stringContaining("Error: its own") });
  });
});
