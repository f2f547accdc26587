import { element } from "./element.ts";

/** A label with the colour that stands for it in the pictures; `look` is the class of that colour. */
export function swatch(look: string, label: string): HTMLElement {
  return element("span", { class: "key" }, element("span", { class: `swatch ${look}` }), label);
}
