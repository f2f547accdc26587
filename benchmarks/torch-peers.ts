import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { AttentionRow } from "./attention-rows.ts";

/** What one of PyTorch's backends took for a row. */
export interface TorchFigure {
  readonly name: string;
  readonly newTokens: number;
  readonly backend: string;
  readonly us: number;
}

/** Times PyTorch's attention on the same rows; empty where there is no PyTorch with a GPU. */
export function torchFigures(rows: readonly AttentionRow[]): TorchFigure[] {
  if (rows.length === 0) return [];
  const script = fileURLToPath(new URL("../peers/torch_attention.py", import.meta.url));
  const { status, stdout, stderr } = spawnSync("python3", [script], {
    input: JSON.stringify(rows),
    encoding: "utf8",
    timeout: 240_000,
  });
  if (status === 0) {
    process.stderr.write(stderr); // which backends take which rows not, and why
    return JSON.parse(stdout) as TorchFigure[];
  }
  process.stderr.write(`no figures of PyTorch: ${stderr?.trim().split("\n").at(-1) ?? "python3 was not found"}\n`);
  return [];
}
