import { readFile, writeFile } from "node:fs/promises";
import type { ReportData } from "../../report-page/report-data.ts";
import { InputError } from "../input-error.ts";
import { figureRows } from "./figure-rows.ts";
import type { ReplayResult } from "./replay-json.ts";
import { headLines } from "./replay-text.ts";

/** Writes a page that holds all it needs: it works from a file, without a network. @throws InputError */
export async function writeReport(file: string, result: ReplayResult): Promise<void> {
  const script = await readFile(new URL("./report-page.js", import.meta.url), "utf8");
  try {
    await writeFile(file, reportPage(reportData(result), script));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new InputError("--html", `${file} cannot be written (${code ?? message})`);
  }
}

/** What the page of a replay shows. */
export function reportData(result: ReplayResult): ReportData {
  const { report, digest } = result.replayed;
  const [title = "", ...lines] = headLines(result);
  return {
    title,
    lines: [...lines, `decisions ${digest}`, ...result.notes],
    figures: figureRows(report),
    numBlocks: report.numBlocks,
    samples: report.samples,
    sweep: result.sweep,
  };
}

/** The page, with the script that draws its charts. */
export function reportPage(data: ReportData, script: string): string {
  const rows = data.figures.map((row) => `<tr>${row.map((cell) => `<td>${escaped(cell)}</td>`).join("")}</tr>`);
  // What the file says may end neither the script nor its data.
  const json = JSON.stringify(data).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escaped(`kv replay ${data.title}`)}</title>
<h1>${escaped(data.title)}</h1>
${data.lines.map((line) => `<p>${escaped(line)}</p>`).join("\n")}
<table>
${rows.join("\n")}
</table>
<main></main>
<script type="application/json" id="data">${json}</script>
<script>${script.replaceAll("</script", "<\\/script")}</script>
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
