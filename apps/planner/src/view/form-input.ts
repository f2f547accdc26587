import { element } from "./element.ts";
import type { Choice, FormField } from "./form-fields.ts";

/** One input of the form with its label and the place for its error. */
export interface FormInput {
  readonly name: string;
  /** The label, the control, the hint and the error. */
  readonly root: HTMLElement;
  /** Shows a value without taking the caret from who is typing it. */
  show(value: string): void;
  /** Shows an error beside the input, or none. */
  showError(message: string | null): void;
}

type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

/** Makes the input of a field. `onInput` is told each new value. */
export function formInput(field: FormField, onInput: (name: string, value: string) => void): FormInput {
  const id = `field-${field.name.replaceAll(".", "-")}`;
  const control = controlOf(field, id);
  const error = element("p", { class: "error", id: `${id}-error`, hidden: true });
  control.addEventListener("input", () => onInput(field.name, typedValue(control, field)));
  return {
    name: field.name,
    root: rootOf(field, control, error),
    show: (value) => showValue(control, field, value),
    showError: (message) => {
      error.textContent = message;
      error.hidden = message === null;
      if (message === null) control.removeAttribute("aria-invalid");
      else control.setAttribute("aria-invalid", "true");
    },
  };
}

function controlOf(field: FormField, id: string): Control {
  const common = { id, name: field.name, "aria-describedby": `${id}-error` };
  switch (field.kind) {
    case "text":
      return element("input", {
        ...common,
        type: "text",
        inputmode: field.numeric === true ? "numeric" : undefined,
        placeholder: field.placeholder,
        spellcheck: "false",
      });
    case "area":
      return element("textarea", { ...common, rows: 9, spellcheck: "false", placeholder: '{ "model_type": …' });
    case "check":
      return element("input", { ...common, type: "checkbox" });
    default:
      return element("select", common, ...optionsOf(field.choices));
  }
}

function optionsOf(choices: readonly Choice[]): HTMLElement[] {
  const groups = [...new Set(choices.map(({ group }) => group))];
  return groups.flatMap((label) => {
    const own = choices.filter(({ group }) => group === label);
    const options = own.map((choice) => element("option", { value: choice.value }, choice.label));
    return label === undefined ? options : [element("optgroup", { label }, ...options)];
  });
}

function rootOf(field: FormField, control: Control, error: HTMLElement): HTMLElement {
  const more = field.more === undefined ? [] : [element("span", { class: "unseen" }, `, ${field.more}`)];
  const label = element("label", { for: control.id, title: field.more }, field.label, ...more);
  const parts = field.kind === "check" ? [control, label, error] : [label, control, error];
  return element("div", { class: `field ${field.kind}`, "data-field": field.name }, ...parts);
}

function typedValue(control: Control, field: FormField): string {
  if (field.kind !== "check" || !(control instanceof HTMLInputElement)) return control.value;
  return control.checked === field.unset ? "" : String(control.checked);
}

function showValue(control: Control, field: FormField, value: string): void {
  if (field.kind === "check" && control instanceof HTMLInputElement) {
    control.checked = value === "" ? field.unset : value === "true";
    return;
  }
  // A link may name a choice that is not in the list: it is shown, and the library says what is wrong with it.
  if (control instanceof HTMLSelectElement && ![...control.options].some((option) => option.value === value)) {
    control.append(element("option", { value }, value));
  }
  if (control.value !== value) control.value = value;
}
