/** What a native failure carries beside its message. */
export type ErrorFields = Readonly<Record<string, number | string>>;

/** A device has not enough free memory. Nothing was allocated. */
export class OutOfMemoryError extends Error {
  override readonly name = "OutOfMemoryError";
  readonly code = "OUT_OF_MEMORY";

  constructor(
    message: string,
    readonly device: string,
    readonly wantedBytes: number,
    readonly freeBytes: number,
    readonly totalBytes: number,
  ) {
    super(message);
  }
}

/** A call of the CUDA driver failed. `cudaError` is its name, such as "CUDA_ERROR_ILLEGAL_ADDRESS". */
export class CudaError extends Error {
  override readonly name = "CudaError";
  readonly code = "CUDA_ERROR";

  constructor(
    message: string,
    readonly call: string,
    readonly cudaError: string,
    readonly cudaCode: number,
  ) {
    super(message);
  }
}

/** The NVIDIA driver is missing, or older than version 525. */
export class DriverError extends Error {
  override readonly name = "DriverError";

  constructor(
    message: string,
    readonly code: "NO_DRIVER" | "DRIVER_TOO_OLD",
    readonly library: string,
  ) {
    super(message);
  }
}

/** There is no device of that name. `available` lists those that there are. */
export class DeviceNotFoundError extends Error {
  override readonly name = "DeviceNotFoundError";
  readonly code = "DEVICE_NOT_FOUND";

  constructor(
    message: string,
    readonly device: string,
    readonly available: string,
  ) {
    super(message);
  }
}

/** Bytes outside the memory that was named. Nothing was read or written. */
export class OutOfBoundsError extends RangeError {
  override readonly name = "OutOfBoundsError";
  readonly code = "OUT_OF_BOUNDS";

  constructor(
    message: string,
    readonly offsetBytes: number,
    readonly lengthBytes: number,
    readonly sizeBytes: number,
  ) {
    super(message);
  }
}

/** An argument is of the wrong type, shape or range; the message names it and says what it must be. */
export class InvalidArgumentError extends TypeError {
  override readonly name = "InvalidArgumentError";
  readonly code = "INVALID_ARGUMENT";

  constructor(
    message: string,
    readonly argument: string,
  ) {
    super(message);
  }
}

/** Something was used after it was disposed. */
export class DisposedError extends Error {
  override readonly name = "DisposedError";
  readonly code = "DISPOSED";

  constructor(readonly what: string) {
    super(`${what} was disposed and cannot be used any more`);
  }
}

/** An operation that a graph cannot hold was given to a stream while that was captured. It was not done. */
export class CaptureError extends Error {
  override readonly name = "CaptureError";
  readonly code = "CAPTURE_ERROR";

  /** `operation`: "allocate", "synchronize", "upload", … */
  constructor(readonly operation: string) {
    super(
      `${operation} cannot be captured: a graph holds kernels, fills and copies; do it before the capture or after it, ` +
        "or on another stream",
    );
  }
}

/** The operating system refused something that the addon needs, such as a thread. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  readonly code = "SYSTEM_ERROR";

  constructor(
    message: string,
    readonly call: string,
  ) {
    super(message);
  }
}

/** The addon could not be loaded. The message says what was looked for, for which platform, and what to do. */
export class AddonNotFoundError extends Error {
  override readonly name = "AddonNotFoundError";
  readonly code = "ADDON_NOT_FOUND";

  constructor(
    message: string,
    readonly platform: string,
    options: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The error class for a code of the addon. */
export function makeError(code: string, message: string, fields: ErrorFields): Error {
  const text = (name: string): string => String(fields[name] ?? "");
  const number = (name: string): number => Number(fields[name]);
  switch (code) {
    case "OUT_OF_MEMORY":
      return new OutOfMemoryError(
        message,
        text("device"),
        number("wantedBytes"),
        number("freeBytes"),
        number("totalBytes"),
      );
    case "CUDA_ERROR":
      return new CudaError(message, text("call"), text("cudaError"), number("cudaCode"));
    case "NO_DRIVER":
    case "DRIVER_TOO_OLD":
      return new DriverError(message, code, text("library"));
    case "DEVICE_NOT_FOUND":
      return new DeviceNotFoundError(message, text("device"), text("available"));
    case "OUT_OF_BOUNDS":
      return new OutOfBoundsError(message, number("offsetBytes"), number("lengthBytes"), number("sizeBytes"));
    case "INVALID_ARGUMENT":
      return new InvalidArgumentError(message, text("argument"));
    case "CAPTURE_ERROR":
      return new CaptureError(text("operation"));
    case "DISPOSED":
      return new DisposedError(text("what"));
    default:
      return new SystemError(message, text("call"));
  }
}
