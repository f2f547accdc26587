import { formatBytes } from "@kv/config";
import { type Device, probeCuda } from "@kv/device-memory";
import { progressOn } from "../progress.ts";
import { colorsFor, type Terminal } from "../terminal.ts";
import type { CheckObserver } from "./check-model.ts";
import { outcomeText, planText, stepText, type TextStyle } from "./check-text.ts";

/** Shows progress only; for `--json`. */
export function silentObserver(terminal: Terminal): CheckObserver {
  return { progress: progressOn(terminal), planned: () => {}, done: () => {}, ended: () => {} };
}

/** What the options of the command say about its text. */
export interface TextOptions {
  /** The device that was asked for. */
  readonly device: string;
  readonly allLayers?: boolean;
}

/** Writes every step to stdout as soon as it is done; begins with the device. */
export function textObserver(device: Device, terminal: Terminal, options: TextOptions): CheckObserver {
  const { stdout, env } = terminal;
  const style: TextStyle = {
    colors: colorsFor(stdout, env),
    system: device.kind === "host" ? "operating system" : "driver",
    allLayers: options.allLayers === true,
  };
  stdout.write(deviceText(device, options.device));
  return {
    progress: progressOn(terminal),
    planned: (plan) => stdout.write(planText(plan, style)),
    done: (name, result, plan) => stdout.write(stepText(plan, name, result, style)),
    ended: (check) => stdout.write(outcomeText(check, style)),
  };
}

function deviceText(device: Device, wanted: string): string {
  const { freeBytes, totalBytes } = device.memoryInfo();
  const { name, kind, description } = device.properties;
  const why =
    wanted === "auto" && kind === "host" ? `; no GPU (${probeCuda().code || "none found"}, see kv devices)` : "";
  return `device ${name}: ${description}, ${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} free${why}\n\n`;
}
