import type { Graph } from "@kv/device-memory";
import { ShapeError } from "@kv/kernels";
import type { Batch } from "./batch.ts";

/**
 * A decode step that a batch captured, of all its layers and rows: one call queues all of it. It works on the memory that
 * it was captured with and owns none of it.
 */
export class DecodeGraph implements Disposable {
  /** New tokens of each sequence. */
  readonly queryLength: number;
  readonly #batch: Batch;
  readonly #graph: Graph;

  /** @internal Made by `Batch.captureDecode`. */
  constructor(batch: Batch, graph: Graph, queryLength: number) {
    this.#batch = batch;
    this.#graph = graph;
    this.queryLength = queryLength;
  }

  /**
   * Queues the step on the cache's stream, for the sequences of the batch's last `prepare`.
   * @throws ShapeError unless each of them has `queryLength` new tokens; DisposedError when memory of the step was
   * disposed; CaptureError
   */
  replay(): void {
    const { numSequences, numTokens, uniformQueryLength } = this.#batch;
    if (numSequences === 0 || uniformQueryLength !== this.queryLength) {
      const wanted = `prepared sequences with ${this.queryLength} new tokens each`;
      throw new ShapeError("batch", wanted, `${numSequences} sequences with ${numTokens} new tokens in all`);
    }
    this.#graph.replay();
  }

  /** Gives the graph back; replays that are queued still run. Later calls do nothing. */
  dispose(): void {
    this.#graph.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
