import { InvalidOptionError } from "./errors.ts";

/**
 * What separates prefixes that must not be shared: a tenant, an adapter, a salt, any bytes, or several of these in order.
 * Equal contents make the same namespace; `[]` or nothing is the default one.
 */
export type Namespace = string | Uint8Array | readonly (string | Uint8Array)[];

/** Exact key of a namespace: different namespaces never have the same. @throws InvalidOptionError for another type */
export function namespaceKey(namespace: Namespace | undefined): string {
  return parts(namespace).map(partKey).join("");
}

/** A namespace as people read it: its parts joined by `/`, bytes in hexadecimal. Not unique. */
export function namespaceLabel(namespace: Namespace | undefined): string {
  return parts(namespace)
    .map((part) => (typeof part === "string" ? part : hex(part)))
    .join("/");
}

function parts(namespace: Namespace | undefined): readonly (string | Uint8Array)[] {
  if (namespace === undefined) return [];
  if (typeof namespace === "string" || namespace instanceof Uint8Array) return [namespace];
  return Array.isArray(namespace) ? namespace : [checkPart(namespace)];
}

/** Kind and length before the contents, so that no two lists of parts run together to the same key. */
function partKey(part: unknown): string {
  const checked = checkPart(part);
  return typeof checked === "string" ? `s${checked.length}:${checked}` : `b${checked.length}:${hex(checked)}`;
}

function checkPart(part: unknown): string | Uint8Array {
  if (typeof part === "string" || part instanceof Uint8Array) return part;
  throw new InvalidOptionError("namespace", part, "a string, a Uint8Array, or a list of these");
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
