import type { DeviceProperties } from "@kv/device-memory";
import type { ExitCode } from "../exit-codes.ts";
import type { JsonHeader } from "../json-output.ts";
import type { ModelCheck } from "./check-model.ts";

/** What `kv check --json` prints; its fields are documented in the README. */
export interface CheckJson extends JsonHeader {
  readonly device: Pick<DeviceProperties, "name" | "kind" | "description">;
  readonly models: readonly object[];
}

/** The results of a check as one object. */
export function checkJson(device: DeviceProperties, checks: readonly ModelCheck[], exitCode: ExitCode): CheckJson {
  const { name, kind, description } = device;
  return {
    command: "check",
    schemaVersion: 1,
    exitCode,
    device: { name, kind, description },
    models: checks.map(modelJson),
  };
}

function modelJson({ plan, outcome, verdicts, steps, failure }: ModelCheck): object {
  const { model, ...planned } = plan;
  const { usage, ...others } = steps;
  return {
    model: model.name,
    source: model.source,
    outcome,
    checks: verdicts,
    plan: { ...model.config, ...planned },
    assumptions: model.assumptions,
    ...others,
    ...(usage === undefined ? {} : { usage: usage.snapshot }),
    ...(failure === undefined ? {} : { error: { code: failure.code, message: failure.message, ...failure.fields } }),
  };
}
