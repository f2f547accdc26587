// Writes report.md from what a run of the bundle left in a folder.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";

const [out, bundle] = process.argv.slice(2);
const { listDevices, native } = createRequire(path.join(bundle, "packages/device-memory/package.json"))("@kv/native");
const devices = listDevices().filter((device) => device.kind === "cuda");
const read = (name) =>
  existsSync(path.join(out, name)) ? readFileSync(path.join(out, name), "utf8").trimEnd() : undefined;

const sections = [
  "# GPU report",
  facts(),
  testTable(),
  output("bench.txt", "Benchmarks"),
  output("check.txt", "kv check"),
  sanitizer(),
];
writeFileSync(path.join(out, "report.md"), `${sections.filter((each) => each !== undefined).join("\n\n")}\n`);

function facts() {
  const rows = devices.map((device) => {
    const gibibytes = (device.totalBytes / 1024 ** 3).toFixed(1);
    return `| ${device.name} | ${device.description}, sm_${device.computeCapability * 10}, ${gibibytes} GiB |`;
  });
  const driver = devices.length === 0 ? "none" : `CUDA ${devices[0].driverVersion / 1000}`;
  return [
    "| | |",
    "| --- | --- |",
    `| commit | ${read("../COMMIT") ?? readFileSync(path.join(bundle, "COMMIT"), "utf8").trim()} |`,
    `| date | ${new Date().toISOString().slice(0, 10)} |`,
    ...rows,
    `| driver | ${driver}${nvidiaVersion()} |`,
    `| kernels | ${native().kernelSource()} |`,
    `| Node | ${process.version} |`,
  ].join("\n");
}

function nvidiaVersion() {
  const file = "/proc/driver/nvidia/version";
  const version = existsSync(file) ? readFileSync(file, "utf8").match(/\s(\d+\.\d+(\.\d+)?)\s/) : null;
  return version === null ? "" : `, ${version[1]}`;
}

function testTable() {
  const reports = readdirSync(out).filter((name) => name.endsWith(".tests.json"));
  if (reports.length === 0) return undefined;
  const rows = reports.map((name) => {
    const report = JSON.parse(readFileSync(path.join(out, name), "utf8"));
    const { numPassedTests, numFailedTests, numPendingTests } = report;
    return `| ${name.split(".")[0]} | ${numPassedTests} | ${numFailedTests} | ${numPendingTests} |`;
  });
  return ["## The matrix", "", "| package | passed | failed | skipped |", "| --- | --- | --- | --- |", ...rows].join(
    "\n",
  );
}

function output(name, title) {
  const text = read(name);
  return text === undefined ? undefined : `## ${title}\n\n\`\`\`\n${text.trim()}\n\`\`\``;
}

function sanitizer() {
  const found = ["memcheck", "racecheck", "initcheck", "synccheck"].flatMap((tool) => {
    const text = read(`${tool}.txt`);
    return text === undefined ? [] : [{ tool, lines: stripVTControlCharacters(text).split("\n") }];
  });
  if (found.length === 0) return undefined;
  const rows = found.map(({ tool, lines }) => {
    const tests = lines
      .flatMap((line) => line.match(/^\s*Tests\s+(.*)$/)?.[1] ?? [])
      .join("; ")
      .replaceAll(" |", ",");
    const seconds = lines.at(-1)?.match(/took (\d+) s/)?.[1] ?? "";
    return `| ${tool} | ${resultOf(lines)} | ${tests} | ${seconds} |`;
  });
  const head = ["| tool | result | tests | seconds |", "| --- | --- | --- | --- |"];
  return ["## compute-sanitizer, over the small case tables", "", ...head, ...rows].join("\n");
}

/** What a tool says of the processes that it followed; each says it once. */
function resultOf(lines) {
  const summaries = lines.flatMap((line) => line.match(/ SUMMARY: (.*)$/)?.[1] ?? []);
  if (summaries.length === 0) return `did not run: ${lines.find((line) => line.trim() !== "") ?? "no output"}`;
  const findings = summaries.filter((summary) => !/^0 (errors|hazards)/.test(summary));
  if (findings.length === 0) return "clean";
  const kernels = new Set(lines.flatMap((line) => line.match(/ at (\w+)\+0x[0-9a-f]+/)?.[1] ?? []));
  return [findings.join("; "), [...kernels].join(", ")].filter((each) => each !== "").join(": ");
}
