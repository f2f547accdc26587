import type { Code, Nodes } from "mdast";
import { fromMarkdown } from "mdast-util-from-markdown";

/** A code block of a document that is to be run. */
export interface CodeBlock {
  readonly source: string;
  /** The line of its first line of code. */
  readonly firstLine: number;
  readonly language: "ts" | "js" | "cjs";
  /** Why it is not run, where its info string says `no-run` and a reason; it is type-checked all the same. */
  readonly noRun: string | undefined;
}

const LANGUAGES: Readonly<Record<string, CodeBlock["language"]>> = {
  ts: "ts",
  typescript: "ts",
  js: "js",
  javascript: "js",
  cjs: "cjs",
};

/**
 * The TypeScript and JavaScript blocks of a markdown text, in order.
 *
 * @throws Error if an info string holds anything but `no-run` and a reason
 */
export function codeBlocksOf(markdown: string): CodeBlock[] {
  return codeNodesOf(fromMarkdown(markdown)).flatMap((node) => {
    const language = LANGUAGES[node.lang ?? ""];
    if (language === undefined) return [];
    // The first line of a fenced block is its fence.
    const firstLine = (node.position?.start.line ?? 0) + 1;
    return [{ source: node.value, firstLine, language, noRun: noRunReason(node.meta ?? "", firstLine - 1) }];
  });
}

function codeNodesOf(node: Nodes): Code[] {
  if (node.type === "code") return [node];
  return "children" in node ? node.children.flatMap(codeNodesOf) : [];
}

function noRunReason(infoString: string, line: number): string | undefined {
  if (infoString === "") return undefined;
  const reason = /^no-run\s+(\S.*)$/.exec(infoString)?.[1];
  if (reason === undefined) {
    throw new Error(`line ${line}: "${infoString}" after the language; only "no-run" and its reason may stand there`);
  }
  return reason;
}
