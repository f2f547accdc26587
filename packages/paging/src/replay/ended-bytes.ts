import type { BlockManager } from "../block-manager.ts";
import type { BlockTable } from "../block-table.ts";
import type { RequestBytes } from "./replay-report.ts";

/** Sums what requests hold when they are done, and what they would hold without windows. */
export class EndedBytes {
  readonly #bytesPerSpan: number;
  readonly #stateBytes: number;
  #requests = 0;
  #held = 0;
  #everyToken = 0;

  constructor({ groups, sizes }: BlockManager) {
    const bytesOf = (isState: boolean): number =>
      groups
        .filter(({ kind }) => (kind === "state") === isState)
        .reduce((sum, group) => sum + group.blocksPerSpan * (sizes[group.sizeClass]?.bytesPerBlock ?? 0), 0);
    this.#bytesPerSpan = bytesOf(false);
    this.#stateBytes = bytesOf(true);
  }

  add(table: BlockTable): void {
    const { ownBytes, sharedBytes } = table.usage();
    this.#requests++;
    this.#held += ownBytes + sharedBytes;
    this.#everyToken += table.numBlocks * this.#bytesPerSpan + this.#stateBytes;
  }

  mean(): RequestBytes {
    const requests = Math.max(1, this.#requests);
    return { held: this.#held / requests, everyToken: this.#everyToken / requests };
  }
}
