import { createHash } from "node:crypto";
import type { BlockManager, BlockTable } from "@kv/paging";

/**
 * All decisions of a replay as one number: of every request, when it ends, how much of it was found and which blocks of
 * every layer group it has. Equal digests mean equal decisions, block for block.
 */
export class DecisionLog {
  readonly #hash: ReturnType<typeof createHash> = createHash("sha256");
  #manager: BlockManager | undefined;

  begin(manager: BlockManager): void {
    this.#manager = manager;
  }

  add(request: number, table: BlockTable): void {
    this.#write(Int32Array.of(request, table.reusedTokens, table.length, table.numBlocks));
    this.#manager?.groups.forEach(({ kind, blocksPerSpan }, group) => {
      for (let part = 0; part < blocksPerSpan; part++) {
        this.#write(table.view(group, part).subarray(0, kind === "state" ? 1 : table.numBlocks));
      }
    });
  }

  /** To be asked once, at the end. */
  digest(): string {
    return `sha256:${this.#hash.digest("hex")}`;
  }

  #write(values: Int32Array): void {
    this.#hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
}
