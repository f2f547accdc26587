import type { PlanSuggestion } from "@kv/config";
import { element } from "./element.ts";

/** Changes that help, best first, each with a button that makes it where `onApply` can. */
export function suggestionList(
  suggestions: readonly PlanSuggestion[],
  onApply: (suggestion: PlanSuggestion) => void,
): HTMLElement {
  if (suggestions.length === 0) return element("p", {}, "No single change makes it fit.");
  const items = suggestions.map((suggestion) => {
    const button = element("button", { type: "button", "aria-label": `Apply ${suggestion.text}` }, "Apply");
    button.addEventListener("click", () => onApply(suggestion));
    const text = element("span", {}, suggestion.text);
    return element("li", { class: suggestion.fits ? "enough" : "helps" }, text, button);
  });
  return element("ol", { class: "suggestions" }, ...items);
}
