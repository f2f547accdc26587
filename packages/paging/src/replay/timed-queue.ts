import type { BlockTable } from "../block-table.ts";

/** A request that is being served. */
export interface Running {
  readonly request: number;
  readonly table: BlockTable;
  /** The prompt, and tokens of the answer that were lost by preemption and are computed again. */
  readonly tokens: Int32Array;
  generated: number;
}

/** A request that waits, perhaps with a part of its answer. */
export interface Waiting {
  readonly request: number;
  readonly generated: number;
  /** It was admitted before and is not counted again. */
  readonly wasPreempted: boolean;
}

/** Requests that wait, first come first served; preempted ones come first. Adding and removing cost the same however many wait. */
export class WaitingQueue {
  readonly #preempted: Waiting[] = []; // the first is at the end
  readonly #arrived: Waiting[] = [];
  #next = 0;

  get length(): number {
    return this.#preempted.length + this.#arrived.length - this.#next;
  }

  add(waiting: Waiting): void {
    if (waiting.wasPreempted) this.#preempted.push(waiting);
    else this.#arrived.push(waiting);
  }

  /** Whose turn it is. */
  get first(): Waiting | undefined {
    return this.#preempted.at(-1) ?? this.#arrived[this.#next];
  }

  removeFirst(): void {
    if (this.#preempted.pop() === undefined) this.#next++;
  }
}
