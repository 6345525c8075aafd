/*
 * Names of hosts as texts: lower case, labels joined by dots, no final dot. A name of ours is kept relative to the
 * mesh's domain: `web`, `db.east`.
 */

export const MAX_NAME_BYTES = 255;
/** Underscores are no host name's, but containers have them. */
const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/** A host name in canonical text, or undefined when it is none. A final dot is allowed. */
export function parseHostName(text: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, '');
  const isHostName =
    name.length <= MAX_NAME_BYTES - 2 && name.split('.').every((label) => LABEL.test(label));
  return isHostName ? name : undefined;
}

/**
 * What a person calls a name (`web`, `db.east.overlay.internal`, any case) as the name relative to the domain (`web`,
 * `db.east`); undefined when it is no host name, the domain itself, or lies outside the domain.
 */
export function relativeName(text: string, domain: string): string | undefined {
  const name = parseHostName(text);
  if (name === undefined || name === domain) return undefined;
  if (name.endsWith(`.${domain}`)) return name.slice(0, -domain.length - 1);
  return name.includes('.') ? undefined : name;
}
