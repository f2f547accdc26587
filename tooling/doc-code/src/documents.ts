import { existsSync, readdirSync } from "node:fs";
import path from "node:path";

/**
 * The documents whose code is run, as paths relative to the root: those beside the root's README, all of `docs`, and
 * the README of each package.
 */
export function findDocuments(root: string): string[] {
  const entries = (folder: string, recursive: boolean): string[] =>
    existsSync(path.join(root, folder))
      ? readdirSync(path.join(root, folder), { recursive, encoding: "utf8" }).map((name) => path.join(folder, name))
      : [];
  const documents = [
    ...entries(".", false),
    ...entries("docs", true),
    ...entries("packages", false).map((folder) => path.join(folder, "README.md")),
    "native/README.md",
    "examples/README.md",
  ];
  return documents
    .filter((file) => file.endsWith(".md") && existsSync(path.join(root, file)))
    .sort((a, b) => a.localeCompare(b));
}
