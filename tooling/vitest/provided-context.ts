import "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Where the device suites run: "host" or "cuda:0". */
    device: string;
    /** Why that device is missing, or "" when it is there. */
    deviceMissing: string;
  }
}
