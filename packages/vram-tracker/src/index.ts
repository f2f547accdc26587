export type { Allocation, AllocationRecord } from "./allocation.ts";
export { AlreadyRecordedError, BudgetExceededError, InvalidInputError, NotRecordedError } from "./errors.ts";
export type { TrackerEvent, TrackerEvents, TrackerListener } from "./events.ts";
export { formatBytes } from "./format-bytes.ts";
export type { Purpose } from "./purpose.ts";
export { type DriverUsage, Reconciliation } from "./reconciliation.ts";
export type { Scope } from "./scope.ts";
export type {
  AllocationSnapshot,
  BudgetUsage,
  DeviceUsage,
  PurposeUsage,
  TrackerSnapshot,
  UsageFigures,
  UsageSnapshot,
} from "./snapshot.ts";
export type { OwnerUsage } from "./usage-report.ts";
export {
  type AllocationFilter,
  type Budget,
  type UsageBreakdown,
  VramTracker,
  type VramTrackerOptions,
} from "./vram-tracker.ts";
