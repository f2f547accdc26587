import { type CudaProbe, type DeviceProperties, native } from "@kv/native";
import { Device } from "./device.ts";

export interface OpenDeviceOptions {
  /**
   * Bytes that the device's pool keeps for the next allocation when memory is freed. 0, the default, gives all of it
   * back at the next synchronisation; a server that allocates again and again wants a large number.
   */
  readonly poolReleaseThresholdBytes?: number;
  /** Keep the stack of every allocation, to name it if it leaks. Default: whether KV_RECORD_STACKS is 1. */
  readonly recordStacks?: boolean;
}

/**
 * Opens a device: "host", "cuda:0", or "auto" for the first GPU if there is one and otherwise the host.
 * @throws DeviceNotFoundError, DriverError, CudaError, AddonNotFoundError
 */
export function openDevice(name: "auto" | "host" | (string & {}) = "auto", options: OpenDeviceOptions = {}): Device {
  const recordStacks = options.recordStacks ?? process.env["KV_RECORD_STACKS"] === "1";
  const handle = native().openDevice(name === "auto" ? firstDevice() : name, options.poolReleaseThresholdBytes ?? 0);
  return new Device(handle, recordStacks);
}

/** The names that `openDevice` takes on this machine: "host", then every GPU that the driver shows. */
export function availableDevices(): string[] {
  return listDevices().map((device) => device.name);
}

/** What the devices of this machine are. */
export function listDevices(): DeviceProperties[] {
  return native().listDevices();
}

/** Whether the NVIDIA driver can be used; if not, why and what to do. Never throws for a missing driver. */
export function probeCuda(): CudaProbe {
  return native().probeCuda();
}

function firstDevice(): string {
  const names = availableDevices();
  return names[1] ?? "host";
}
