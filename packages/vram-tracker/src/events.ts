import type { AllocationRecord } from "./allocation.ts";
import type { BudgetExceededError } from "./errors.ts";

/** What listeners hear of, by event. An allocation ends with one `freed` or one `leaked`, never both. */
export interface TrackerEvents {
  allocated: AllocationRecord;
  freed: AllocationRecord;
  /** Its owner was lost without freeing it; the garbage collector caught it. */
  leaked: AllocationRecord;
  /** A budget said no. */
  refused: BudgetExceededError;
}

export type TrackerEvent = keyof TrackerEvents;

export type TrackerListener<E extends TrackerEvent> = (subject: TrackerEvents[E]) => void;

/** The listeners of a tracker. What a listener throws goes to `onListenerError`; the others still hear the event. */
export class Listeners {
  readonly #listeners: { readonly [E in TrackerEvent]: Set<TrackerListener<E>> } = {
    allocated: new Set(),
    freed: new Set(),
    leaked: new Set(),
    refused: new Set(),
  };
  readonly #onListenerError: (error: unknown) => void;

  constructor(onListenerError: (error: unknown) => void) {
    this.#onListenerError = onListenerError;
  }

  has(event: string): event is TrackerEvent {
    return Object.hasOwn(this.#listeners, event);
  }

  add<E extends TrackerEvent>(event: E, listener: TrackerListener<E>): () => void {
    // A wrapper of its own, so that a listener given twice is heard twice and each is taken back by itself.
    const heard: TrackerListener<E> = (subject) => listener(subject);
    this.#listeners[event].add(heard);
    return () => void this.#listeners[event].delete(heard);
  }

  emit<E extends TrackerEvent>(event: E, subject: TrackerEvents[E]): void {
    const listeners = this.#listeners[event];
    if (listeners.size === 0) return;
    // A copy: a listener may add listeners of the same event without end.
    for (const listener of [...listeners]) {
      try {
        listener(subject);
      } catch (error) {
        this.#onListenerError(error);
      }
    }
  }
}
