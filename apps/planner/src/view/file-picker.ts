import { element } from "./element.ts";

/** The way to give the page a file: a button beside the model, and the whole page to drop on. */
export interface FilePicker {
  readonly root: HTMLElement;
  /** Says what came of a file; an error as one. */
  say(message: string, isError: boolean): void;
}

/** Makes the picker; `onFile` is told each file that is chosen or dropped. */
export function filePicker(onFile: (file: File) => void): FilePicker {
  const status = element("p", { class: "file-status", role: "status", hidden: true });
  const input = element("input", { type: "file", id: "file", accept: ".json,.gguf,application/json" });
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    if (file !== undefined) onFile(file);
    // Otherwise the same file, put right, could not be chosen again.
    input.value = "";
  });
  const label = element(
    "label",
    { for: "file" },
    "Open or drop a config.json, a GGUF file, or a model.safetensors.index.json",
  );
  takeDrops(onFile);
  return {
    root: element("div", { class: "field file" }, label, input, status),
    say: (message, isError) => {
      status.textContent = message;
      status.hidden = message === "";
      status.classList.toggle("error", isError);
    },
  };
}

function takeDrops(onFile: (file: File) => void): void {
  const mark = (isOver: boolean): void => {
    document.body.toggleAttribute("data-dropping", isOver);
  };
  addEventListener("dragover", (event) => {
    // Without this the browser would leave the page and open the file.
    event.preventDefault();
    mark(true);
  });
  addEventListener("dragleave", () => mark(false));
  addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    const [file] = event.dataTransfer?.files ?? [];
    if (file !== undefined) onFile(file);
  });
}
