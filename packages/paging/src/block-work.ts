import type { BlockId } from "./block-id.ts";

/** When a block that comes to a sequence is overwritten with zeros first. */
export type ScrubPolicy = "never" | "between-namespaces" | "always";

/** Something to do on the device, because the bookkeeping has assumed that it is done. */
export type BlockOperation =
  | {
      /** Overwrite these blocks with zeros: they held another owner's tokens, or a state begins in them. */
      readonly kind: "scrub";
      readonly blocks: readonly BlockId[];
    }
  | {
      /** Copy what `from` holds to `to`: the first `numTokens` places, or all of it for a state. */
      readonly kind: "copy";
      readonly group: number;
      readonly from: BlockId;
      readonly to: BlockId;
      readonly numTokens: number;
    };

/**
 * Operations on blocks in the order in which they were decided, which is the order they must be done in: a block may be
 * copied from, given to somebody else and scrubbed.
 */
export class BlockWork {
  #operations: BlockOperation[] = [];
  #scrubs: BlockId[] = [];

  constructor(readonly scrubPolicy: ScrubPolicy) {}

  /** Whether there is something to do. */
  get isEmpty(): boolean {
    return this.#operations.length === 0 && this.#scrubs.length === 0;
  }

  /** Decides whether a block that goes from one namespace to another is scrubbed. A new pool is zero everywhere. */
  allocated(block: number, before: number, namespace: number, isBlank: boolean): void {
    if (before >= 0 && (isBlank || this.#changesHands(before, namespace))) this.#scrubs.push(block as BlockId);
  }

  /** A block that its owner begins anew: nothing of what it held may be read. */
  scrub(block: number): void {
    this.#scrubs.push(block as BlockId);
  }

  copy(group: number, from: number, to: number, numTokens: number): void {
    this.#endScrubs();
    this.#operations.push({ kind: "copy", group, from: from as BlockId, to: to as BlockId, numTokens });
  }

  /** Hands out all operations and forgets them. */
  take(): BlockOperation[] {
    this.#endScrubs();
    const operations = this.#operations;
    if (operations.length > 0) this.#operations = [];
    return operations;
  }

  #changesHands(before: number, namespace: number): boolean {
    return this.scrubPolicy === "always" || (this.scrubPolicy === "between-namespaces" && before !== namespace);
  }

  #endScrubs(): void {
    if (this.#scrubs.length === 0) return;
    this.#operations.push({ kind: "scrub", blocks: this.#scrubs });
    this.#scrubs = [];
  }
}
