import { formatBytes } from "@kv/config";
import { formatTable } from "../table.ts";
import type { Colors } from "../terminal.ts";
import type { DeviceReport, DevicesReport } from "./list-devices.ts";

/** The devices as a table, then what keeps any of them, or CUDA as a whole, from being used. */
export function devicesText({ devices, cuda }: DevicesReport, colors: Colors): string {
  const head = ["device", "name", "free", "total", "compute capability", "driver (CUDA)"];
  const rows = [head.map((title) => colors.bold(title)), ...devices.map(rowOf)];
  const table = formatTable(rows, ["left", "left", "right", "right", "right", "right"]);
  const failed = devices.flatMap(({ name, error }) =>
    error === null ? [] : [`${name} cannot be used: ${error.code}: ${error.message}`],
  );
  const why = cuda.isAvailable ? [] : [`CUDA cannot be used: ${cuda.code}: ${cuda.message}`];
  return `${[table, ...[...failed, ...why].map((line) => `\n${colors.yellow(line)}`)].join("\n")}\n`;
}

function rowOf({ name, description, freeBytes, totalBytes, computeCapability, driverVersion }: DeviceReport): string[] {
  return [
    name,
    description,
    freeBytes === null ? "?" : formatBytes(freeBytes),
    formatBytes(totalBytes),
    computeCapability ?? "–",
    driverVersion ?? "–",
  ];
}
