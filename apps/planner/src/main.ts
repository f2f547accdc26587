import { Planner } from "./planner.ts";
import { byId } from "./view/element.ts";

const planner = new Planner();
addEventListener("hashchange", () => void planner.load());
byId("summary", HTMLButtonElement).addEventListener("click", () => planner.showResult());
byId("reset", HTMLButtonElement).addEventListener("click", () => planner.reset());
byId("share", HTMLButtonElement).addEventListener("click", () => void share());
void planner.load();

async function share(): Promise<void> {
  const status = byId("share-status", HTMLSpanElement);
  try {
    await navigator.clipboard.writeText(await planner.link());
    status.textContent = "Copied";
  } catch {
    status.textContent = "Copy this page's address: it is the link";
  }
}

// The line at the foot of a narrow page says what the result says: beside it, it is not needed.
new IntersectionObserver(([entry]) => {
  byId("summary", HTMLButtonElement).hidden = entry?.isIntersecting === true;
}).observe(byId("result", HTMLElement));
