import { SingleBar } from "cli-progress";
import type { Terminal } from "./terminal.ts";

/** Shows how far something long has come. */
export interface Progress {
  /** Begins a new task of `total` steps. */
  start(task: string, total: number): void;
  /** `done` of the total are done. */
  update(done: number): void;
  /** Ends the task and takes its line away. */
  stop(): void;
}

/** A bar on stderr where that is a terminal; otherwise nothing. It redraws by itself inside `update`. */
export function progressOn({ stderr }: Terminal): Progress {
  if (stderr.isTTY !== true) return SILENT;
  const bar = new SingleBar({
    stream: stderr,
    format: "{task} {bar} {percentage} %",
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 30,
    clearOnComplete: true,
    // The event loop stands still while memory is read, so timers do not run: update() has to draw.
    synchronousUpdate: true,
    fps: 15,
    // Ctrl-C ends the program at once, so nothing of the terminal may be switched off meanwhile.
    gracefulExit: false,
    hideCursor: false,
    linewrap: true,
  });
  return {
    start: (task, total) => bar.start(total, 0, { task }),
    update: (done) => bar.update(done),
    stop: () => bar.stop(),
  };
}

const SILENT: Progress = { start: () => {}, update: () => {}, stop: () => {} };
