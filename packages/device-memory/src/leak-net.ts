/** What is given back when its owner was collected without being disposed. Must not refer to the owner. */
export interface Caught {
  /** "1048576 bytes of kv_cache on cuda:0"; undefined when it need not be disposed. */
  readonly what: string | undefined;
  readonly stack: string | undefined;
  release(): void;
}

// The last net only: it works when V8 pleases. Whoever owns memory disposes of it.
const registry = new FinalizationRegistry<Caught>((caught) => {
  caught.release();
  if (caught.what === undefined) return;
  process.emitWarning(`${caught.what} was collected without dispose(); use \`using\` or call dispose()`, {
    type: "KvLeakWarning",
    code: "KV_LEAK",
    detail:
      caught.stack ?? "open the device with recordStacks: true, or set KV_RECORD_STACKS=1, to see where it was made",
  });
});

export function catchLeak(owner: object, caught: Caught): void {
  registry.register(owner, caught, owner);
}

export function wasDisposed(owner: object): void {
  registry.unregister(owner);
}

/** The caller's stack as text. Formatted at once: an Error object would keep the frames' receivers alive. */
export function currentStack(): string {
  return new Error("allocated here").stack?.split("\n").slice(2).join("\n") ?? "";
}
