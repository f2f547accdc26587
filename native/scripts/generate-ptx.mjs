// Makes kernels/generated/kv.ptx with nvcc; with --check only says whether it is what nvcc makes now.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

// PTX is stable between versions of one compiler only.
const NVCC_VERSION = "13.0.88";
const root = fileURLToPath(new URL("..", import.meta.url));
const target = path.join(root, "kernels/generated/kv.ptx");
const nvcc = process.env.CUDACXX ?? "nvcc";

const version = spawnSync(nvcc, ["--version"], { encoding: "utf8" }).stdout?.match(/V([\d.]+)/)?.[1];
if (version !== NVCC_VERSION) {
  process.stdout.write(`kv.ptx is made with nvcc ${NVCC_VERSION}, here is ${version ?? "none"}: not checked\n`);
  process.exit(process.argv.includes("--check") ? 0 : 1);
}

const made = generate();
if (!process.argv.includes("--check")) {
  writeFileSync(target, made);
} else if (readFileSync(target, "utf8") !== made) {
  process.stderr.write("native/kernels/generated/kv.ptx is out of date: run `pnpm --filter @kv/native ptx`\n");
  process.exit(1);
}

function generate() {
  const folder = mkdtempSync(path.join(tmpdir(), "kv-ptx-"));
  const output = path.join(folder, "kv.ptx");
  const args = [
    "-ptx",
    "-O3",
    "-std=c++20",
    "-arch=compute_75",
    `-I${root}`,
    "-o",
    output,
    path.join(root, "kernels/kv.cu"),
  ];
  const { status } = spawnSync(nvcc, args, { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
  const text = readFileSync(output, "utf8");
  rmSync(folder, { recursive: true });
  // PTX ISA 8.0 is what drivers from 525 on can compile; these kernels use nothing newer but a hint, which may go.
  return text.replace(/^\.version \d+\.\d+$/m, ".version 8.0").replace(/^\t\.pragma "used_bytes_mask \d+";\n/gm, "");
}
