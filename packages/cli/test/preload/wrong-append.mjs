// Makes the first append to every layer leave one wrong byte behind, as a faulty device would.
import { KVCache } from "@kv/cache";

const append = KVCache.prototype.append;
KVCache.prototype.append = function (layer, input, stream) {
  append.call(this, layer, input, stream);
  if (this.position > 0) return;
  const first = this.values(layer).slice(0, 1);
  const byte = new Uint8Array(1);
  first.copyToHostSync(byte);
  first.fill(byte[0] ^ 1);
};
