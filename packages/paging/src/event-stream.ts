/** A queue of events that is read with `for await`, and that drops all it has rather than grow without limit. */
export class EventStream<Event, Lost> implements AsyncIterableIterator<Event | Lost> {
  readonly #capacity: number;
  readonly #describeLoss: (last: Event) => Lost;
  readonly #onEnd: () => void;
  readonly #waiting: ((result: IteratorResult<Event | Lost>) => void)[] = [];
  #events: (Event | Lost)[] = [];
  #hasLost: boolean = false;
  #isEnded: boolean = false;

  constructor(capacity: number, describeLoss: (last: Event) => Lost, onEnd: () => void) {
    this.#capacity = capacity;
    this.#describeLoss = describeLoss;
    this.#onEnd = onEnd;
  }

  push(event: Event): void {
    if (this.#isEnded) return;
    const reader = this.#waiting.shift();
    if (reader !== undefined) reader({ done: false, value: event });
    else if (this.#hasLost || this.#events.length >= this.#capacity) {
      // Nothing behind a gap is of use, so that the loss is all that is kept until it is read.
      this.#hasLost = true;
      this.#events = [this.#describeLoss(event)];
    } else this.#events.push(event);
  }

  next(): Promise<IteratorResult<Event | Lost>> {
    const value = this.#events.shift();
    if (value !== undefined) {
      this.#hasLost = false;
      return Promise.resolve({ done: false, value });
    }
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<Event | Lost>> {
    this.#isEnded = true;
    this.#events = [];
    this.#onEnd();
    for (const reader of this.#waiting.splice(0)) reader({ done: true, value: undefined });
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
