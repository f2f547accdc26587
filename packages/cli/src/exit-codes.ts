/** What the exit status of `kv` says. The README and `kv --help` show the same list. */
export const EXIT = {
  ok: 0,
  checkFailed: 1,
  badInput: 2,
  outOfMemory: 3,
  noDevice: 4,
  internal: 70,
} as const;

/** One of the statuses that `kv` ends with. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What each status means, for people. */
export const EXIT_MEANINGS: Readonly<Record<ExitCode, string>> = {
  [EXIT.ok]: "all is well",
  [EXIT.checkFailed]: "a check failed: memory or contents are not what was planned",
  [EXIT.badInput]: "wrong usage, or a file or model that cannot be used",
  [EXIT.outOfMemory]: "not enough memory on the device",
  [EXIT.noDevice]: "a device, its driver or the native addon is missing or failed",
  [EXIT.internal]: "a mistake in kv itself",
};
