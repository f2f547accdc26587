import plotStyle from "uplot/dist/uPlot.min.css";
import { chartsOf } from "./charts.ts";
import { drawChart } from "./draw-chart.ts";
import pageStyle from "./page.css";
import type { ReportData } from "./report-data.ts";

const style = document.createElement("style");
style.textContent = plotStyle + pageStyle;
document.head.append(style);

const data = JSON.parse(document.getElementById("data")?.textContent ?? "") as ReportData;
const main = document.querySelector("main") as HTMLElement;
for (const chart of chartsOf(data)) drawChart(chart, main);
