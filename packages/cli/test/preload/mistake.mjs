// A mistake in our own code, as it would reach the command line.
import { KVCache } from "@kv/cache";

KVCache.allocate = () => undefined.property;
