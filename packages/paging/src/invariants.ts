import { InvariantError } from "./errors.ts";
import type { Pin } from "./pin.ts";
import type { Pool } from "./pool.ts";
import { forEachHeldBlock, type Sequence } from "./sequence.ts";
import { nodeOfSpan } from "./sequence-store.ts";

/**
 * Recomputes everything that is kept incrementally and compares. Walks the pool, the index and all sequences.
 *
 * @throws InvariantError naming the first contradiction
 */
export function checkInvariants(pool: Pool, sequences: readonly Sequence[], pins: readonly Pin[]): void {
  checkReferences(pool, sequences, pins);
  checkStates(pool);
  checkNamespaces(pool, sequences, pins);
  checkIndex(pool);
  for (const sequence of sequences) checkSequence(pool, sequence);
}

function expectEqual(invariant: string, found: number, expected: number): void {
  if (found !== expected) throw new InvariantError(invariant, `${found}, recounted ${expected}`);
}

function checkReferences(pool: Pool, sequences: readonly Sequence[], pins: readonly Pin[]): void {
  const { allocator } = pool;
  const references = new Int32Array(allocator.numBlocks);
  const pinned = new Int32Array(allocator.numBlocks);
  const add = (counts: Int32Array, block: number): void => {
    if (!(block >= 0 && block < allocator.numBlocks)) throw new InvariantError("a held block exists", `block ${block}`);
    counts[block] = (counts[block] as number) + 1;
  };
  for (const sequence of sequences) forEachHeldBlock(sequence, (block) => add(references, block));
  for (const pin of pins) {
    for (const block of pin.blocks) {
      add(references, block);
      add(pinned, block);
    }
  }
  for (let block = 0; block < allocator.numBlocks; block++) {
    expectEqual(`references of block ${block}`, allocator.references[block] as number, references[block] as number);
    expectEqual(`pins of block ${block}`, allocator.pins[block] as number, pinned[block] as number);
  }
  expectEqual("pinned blocks", allocator.numPinned, pinned.filter((count) => count > 0).length);
}

function checkStates({ allocator, index }: Pool): void {
  const free = new Int32Array(allocator.sizes.length);
  const cached = new Int32Array(allocator.sizes.length);
  for (let block = 0; block < allocator.numBlocks; block++) {
    const isStored = index.nodeOf(block) >= 0;
    if ((allocator.references[block] as number) > 0) {
      if (allocator.isParked(block)) throw new InvariantError("a held block is not parked", `block ${block}`);
      continue;
    }
    const counts = isStored ? cached : free;
    const size = allocator.sizeOf(block);
    counts[size] = (counts[size] as number) + 1;
    if (allocator.isListed(block) === allocator.isParked(block)) {
      throw new InvariantError("a block that nobody holds is in one list or parked", `block ${block}`);
    }
    if (allocator.isParked(block) && index.firstChildOf(index.nodeOf(block)) < 0) {
      throw new InvariantError("only blocks with cached children are parked", `block ${block}`);
    }
  }
  allocator.sizes.forEach((_, size) => {
    expectEqual(`free blocks of size ${size}`, allocator.numFreeOf(size), free[size] as number);
    expectEqual(`cached blocks of size ${size}`, allocator.numCachedOf(size), cached[size] as number);
  });
}

function checkNamespaces(pool: Pool, sequences: readonly Sequence[], pins: readonly Pin[]): void {
  const { allocator, index, namespaces } = pool;
  const numbers = [...namespaces.numbers()];
  const used = new Map(numbers.map((number) => [number, 0]));
  const cached = new Map(used);
  const owned = new Map(used);
  const increment = (counts: Map<number, number>, number: number): void => {
    const count = counts.get(number);
    if (count === undefined) throw new InvariantError("a block's namespace exists", `number ${number}`);
    counts.set(number, count + 1);
  };
  for (let block = 0; block < allocator.numBlocks; block++) {
    const owner = allocator.owner[block] as number;
    if (owner >= 0) increment(owned, owner);
    if ((allocator.references[block] as number) > 0) increment(used, owner);
    else if (index.nodeOf(block) >= 0) increment(cached, owner);
  }
  for (const number of numbers) {
    const label = namespaces.label(number);
    expectEqual(`used blocks of "${label}"`, namespaces.used[number] as number, used.get(number) as number);
    expectEqual(`cached blocks of "${label}"`, namespaces.cached[number] as number, cached.get(number) as number);
    expectEqual(`owned blocks of "${label}"`, namespaces.owned[number] as number, owned.get(number) as number);
  }
  const users = numbers.reduce((sum, number) => sum + (namespaces.users[number] as number), 0);
  expectEqual("users of namespaces", users, sequences.length + pins.length);
}

function checkIndex(pool: Pool): void {
  const { index, namespaces } = pool;
  let numNodes = 0;
  let numBlocks = 0;
  for (const namespace of namespaces.numbers()) {
    const root = index.root(namespace);
    const stack = [index.firstChildOf(root)];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (node < 0) continue;
      numNodes++;
      stack.push(index.nextSiblingOf(node), index.firstChildOf(node));
      numBlocks += checkNode(pool, node, namespace);
    }
  }
  expectEqual("nodes of the index", index.numStored, numNodes);
  let stored = 0;
  for (let block = 0; block < pool.allocator.numBlocks; block++) if (index.nodeOf(block) >= 0) stored++;
  expectEqual("blocks attached to nodes", numBlocks, stored);
}

/** Returns how many blocks the node has. */
function checkNode(pool: Pool, node: number, namespace: number): number {
  const { index, allocator } = pool;
  const parent = index.parentOf(node);
  expectEqual("a node is found by its tokens", index.child(parent, index.tokensOf(node), 0), node);
  let numBlocks = 0;
  for (let unit = 0; unit < index.numUnits; unit++) {
    for (let block = index.blockOf(node, unit); block >= 0; block = index.twinOf(block)) {
      numBlocks++;
      expectEqual(`node of block ${block}`, index.nodeOf(block), node);
      expectEqual(`unit of block ${block}`, index.unitOf(block), unit);
      expectEqual(`size of block ${block}`, allocator.sizeOf(block), pool.sizeOfUnit[unit] as number);
      expectEqual(`namespace of block ${block}`, allocator.owner[block] as number, namespace);
    }
  }
  if (numBlocks === 0 && index.firstChildOf(node) < 0 && !allocator.isNodeHeld(node)) {
    throw new InvariantError("a node has blocks, children or a sequence", `node ${node}`);
  }
  return numBlocks;
}

function checkSequence(pool: Pool, sequence: Sequence): void {
  const size = pool.tokensPerBlock;
  expectEqual("blocks of a sequence", sequence.numSpans, Math.ceil(sequence.length / size));
  expectEqual("room in the last block", sequence.tailRoom, sequence.numSpans * size - sequence.length);
  if (sequence.isStoring) {
    expectEqual("pending tokens", sequence.numPending, sequence.length - sequence.numStored * size);
  }
  for (const unit of pool.tokenUnits) {
    const table = sequence.blocks[unit] as Int32Array;
    for (let span = 0; span < (sequence.firstHeld[unit] as number); span++) {
      expectEqual("a place that a window has left", table[span] as number, -1);
    }
  }
  let node = sequence.numStored === 0 ? sequence.root : nodeOfSpan(sequence, 0);
  if (sequence.numStored > 0) node = pool.index.parentOf(node);
  expectEqual("where a sequence's prefix begins", node, sequence.root);
  for (let span = sequence.numStored - 1, at = sequence.lastNode; span >= 0; span--, at = pool.index.parentOf(at)) {
    for (const unit of pool.tokenUnits) {
      if (span < (sequence.firstHeld[unit] as number)) continue;
      expectEqual(
        "node of a stored block",
        pool.index.nodeOf((sequence.blocks[unit] as Int32Array)[span] as number),
        at,
      );
    }
  }
}
