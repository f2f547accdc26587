/** One sequence of the naive model: a plain copy of its tokens. */
export interface ModelSequence {
  namespace: string;
  tokens: number[];
}

/**
 * What a block manager may have cached, without blocks: every prefix of whole blocks that any sequence ever had, by
 * namespace. The manager may have evicted some of them, but it may never find one that is not here.
 */
export class NaiveModel {
  readonly sequences: ModelSequence[] = [];
  readonly #stored: Set<string> = new Set();

  /** Remembering every prefix takes a copy of it: a long run does without, and then cannot tell what may be found. */
  constructor(
    readonly tokensPerBlock: number,
    readonly remembersPrefixes: boolean,
  ) {}

  create(namespace: string, tokens: readonly number[]): ModelSequence {
    const sequence = { namespace, tokens: [...tokens] };
    this.sequences.push(sequence);
    this.#store(sequence);
    return sequence;
  }

  append(sequence: ModelSequence, tokens: readonly number[]): void {
    sequence.tokens.push(...tokens);
    this.#store(sequence);
  }

  fork(sequence: ModelSequence, position: number): ModelSequence {
    return this.create(sequence.namespace, sequence.tokens.slice(0, position));
  }

  free(sequence: ModelSequence): void {
    this.sequences.splice(this.sequences.indexOf(sequence), 1);
  }

  /** Most leading tokens of whole blocks that could be cached. */
  longestStored(namespace: string, tokens: readonly number[], most: number): number {
    let length = 0;
    for (let end = this.tokensPerBlock; end <= most; end += this.tokensPerBlock) {
      if (!this.#stored.has(keyOf(namespace, tokens.slice(0, end)))) break;
      length = end;
    }
    return length;
  }

  #store({ namespace, tokens }: ModelSequence): void {
    if (!this.remembersPrefixes) return;
    for (let end = this.tokensPerBlock; end <= tokens.length; end += this.tokensPerBlock) {
      this.#stored.add(keyOf(namespace, tokens.slice(0, end)));
    }
  }
}

function keyOf(namespace: string, tokens: readonly number[]): string {
  return `${namespace}|${tokens.join()}`;
}
