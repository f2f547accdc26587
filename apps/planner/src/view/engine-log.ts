import { type PlanReport, RULES } from "@kv/config";
import { element, table } from "./element.ts";

/** The figures as the engine's log prints them, and whose behaviour they are. */
export function engineLog({ rule, ruleVersion, figures }: PlanReport): HTMLElement[] {
  const log = table(
    `As ${rule} prints it`,
    ["Figure", "Value"],
    figures.map(({ name, value }) => [name, value]),
  );
  log.classList.add("log");
  const sources = RULES[rule].documentation.map(sourceLink);
  const note = element("p", { class: "note" }, `Rule ${rule}, ${ruleVersion}.`);
  if (sources.length > 0)
    note.append(" From ", ...sources.flatMap((source, i) => (i === 0 ? [source] : [", ", source])), ".");
  return figures.length === 0 ? [note] : [element("div", { class: "wide" }, log), note];
}

function sourceLink(address: string): Node | string {
  if (!address.startsWith("https://")) return address;
  const { pathname } = new URL(address);
  const text = pathname.split("/").slice(-1)[0] ?? address;
  const named = /^\d+$/.test(text) ? `${pathname.split("/")[2]} #${text}` : text;
  return element("a", { href: address, rel: "noreferrer" }, named);
}
