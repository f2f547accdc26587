/**
 * What device memory is held for. The four names are the common ones; any other non-empty string is a purpose too.
 * A purpose is a label: there should be few of them, because each keeps its own figures for good. What tells single
 * holders apart is the owner.
 */
export type Purpose = "model_weights" | "kv_cache" | "intermediate_buffers" | "unknown" | (string & {});
