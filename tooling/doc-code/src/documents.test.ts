import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findDocuments } from "./documents.ts";

test("finds the root's documents, all of docs, and the README of each package", () => {
  const root = mkdtempSync(path.join(tmpdir(), "kv-documents-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const files = [
    "README.md",
    "LICENSE",
    "docs/a.md",
    "docs/deep/b.md",
    "docs/c.txt",
    "packages/x/README.md",
    "packages/x/CHANGELOG.md",
    "native/README.md",
    "node_modules/y/README.md",
  ];
  for (const file of files) {
    mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(root, file), "");
  }
  expect(findDocuments(root)).toEqual([
    "docs/a.md",
    "docs/deep/b.md",
    "native/README.md",
    "packages/x/README.md",
    "README.md",
  ]);
});
