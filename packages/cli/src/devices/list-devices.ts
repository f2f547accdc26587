import { type CudaProbe, type DeviceProperties, listDevices, openDevice, probeCuda } from "@kv/device-memory";
import { describeFailure } from "../failure.ts";

/** A device of this machine. What a device has not is null. */
export interface DeviceReport {
  /** As `--device` takes it. */
  readonly name: string;
  readonly kind: "host" | "cuda";
  /** The maker's name. */
  readonly description: string;
  /** Null when the device cannot be opened; `error` says why. */
  readonly freeBytes: number | null;
  readonly totalBytes: number;
  /** "9.0" */
  readonly computeCapability: string | null;
  /** The newest CUDA that the driver serves: "13.0". */
  readonly driverVersion: string | null;
  readonly numMultiprocessors: number;
  readonly l2CacheBytes: number | null;
  readonly uuid: string | null;
  readonly pciBusId: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** The devices, and whether CUDA can be used. */
export interface DevicesReport {
  readonly devices: readonly DeviceReport[];
  readonly cuda: CudaProbe;
}

/** Looks at every device of this machine; one that fails is listed with its error. */
export function reportDevices(): DevicesReport {
  return { devices: listDevices().map(reportDevice), cuda: probeCuda() };
}

function reportDevice(properties: DeviceProperties): DeviceReport {
  const { name, kind, description, totalBytes, computeCapability, driverVersion } = properties;
  return {
    name,
    kind,
    description,
    ...memoryOf(name),
    totalBytes,
    computeCapability: computeCapability === 0 ? null : computeCapability.toFixed(1),
    driverVersion: driverVersion === 0 ? null : cudaVersion(driverVersion),
    numMultiprocessors: properties.numMultiprocessors,
    l2CacheBytes: properties.l2CacheBytes || null,
    uuid: properties.uuid || null,
    pciBusId: properties.pciBusId || null,
  };
}

/** 13000 means 13.0, 12080 means 12.8. */
function cudaVersion(number: number): string {
  return `${Math.floor(number / 1000)}.${Math.floor((number % 1000) / 10)}`;
}

function memoryOf(name: string): Pick<DeviceReport, "freeBytes" | "error"> {
  try {
    using device = openDevice(name);
    return { freeBytes: device.memoryInfo().freeBytes, error: null };
  } catch (error) {
    const { code, message } = describeFailure(error);
    return { freeBytes: null, error: { code, message } };
  }
}
