export { type AppendInput, append } from "./append.ts";
export { type BlockPair, copyBlocks } from "./copy-blocks.ts";
export { DtypeError, ShapeError } from "./errors.ts";
export { type HostElements, requireDtype } from "./host-elements.ts";
export { KvView, type KvViewLayout, type PlaneLayout } from "./kv-view.ts";
