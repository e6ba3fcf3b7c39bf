import { isMap } from './difference.ts';

/** The text that replaces a secret. */
export const leftOut = '(left out)';

/** Patterns of secrets in any text. The group `keep`, if there is one, stays. */
const secrets: RegExp[] = [
  /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g,
  // a JWT, such as a ServiceAccount's token
  /\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g,
  /(?<keep>\b(?:Bearer|Basic)\s+)[\w.~+/=-]{6,}/gi,
  // a bootstrap token of kubeadm
  /\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\b(?:gh[pousr]_|glpat-|xox[abprs]-)[\w-]{10,}/g,
  /(?<keep>:\/\/)[^\s/:@"']+:[^\s/@"']+(?=@)/g,
  // token=…, "password": "…", --client-secret …; also where the quotes are written out, as in a log line
  /(?<keep>(?:token|passw(?:or)?d|secret|api[-_]?key|credentials?|authorization|private[-_]?key)\\?["']?\s*[=:]\s*\\?["']?)(?!\(left out\))[^\s"'\\,;&}\]]{3,}/gi,
];

/** Removes secrets from a text. @param known secrets that must not appear, besides those that match a pattern */
export function withoutSecrets(text: string, known: Iterable<string> = []): string {
  let safe = text;
  for (const one of known) if (one.length >= 6) safe = safe.replaceAll(one, leftOut);
  for (const pattern of secrets)
    safe = safe.replace(pattern, (...found: unknown[]) => {
      const groups = found.at(-1) as { keep?: string } | number | string;
      return (typeof groups === 'object' ? (groups.keep ?? '') : '') + leftOut;
    });
  return safe;
}

const isOurs = (key: string): boolean => /(^|\.)overlaynet\.dev\/|^dev\.overlaynet\./.test(key);

const useless: ReadonlySet<string> = new Set(['managedFields', 'images']);

/** Matches names of fields and flags whose values are secrets. `secretName` is not among them. */
const secretField = /(?:token|passw(?:or)?d|secret|api[-_]?key|credentials?|authorization|private[-_]?key)$/i;

/**
 * Removes from a JSON value what may hold a secret or has no use: managedFields, a node's list of images, values of other
 * programs' annotations, of environment variables and of flags for secrets, data of Secrets, and secrets in any text.
 * @param known secrets that must not appear, beside those that match a pattern
 */
export function withoutFields(value: unknown, known: readonly string[] = []): unknown {
  if (typeof value === 'string') return withoutSecrets(value, known);
  if (Array.isArray(value)) return value.map((one) => withoutFields(one, known));
  if (!isMap(value)) return value;
  const secret = value.kind === 'Secret';
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]): [string, unknown][] => {
      if (useless.has(key)) return [];
      if (secret && (key === 'data' || key === 'stringData')) return [[key, leftOut]];
      if (typeof one === 'string' && secretField.test(key)) return [[key, leftOut]];
      return [[key, withoutFields(narrowed(key, one), known)]];
    }),
  );
}

/** Removes values that may be secrets from other programs' annotations, environment variables and command lines. */
function narrowed(key: string, value: unknown): unknown {
  if (key === 'annotations' && isMap(value))
    return Object.fromEntries(
      Object.entries(value).map(([name, text]) => [name, isOurs(name) ? text : leftOut]),
    );
  if (key === 'env' && Array.isArray(value))
    return value.map((one: unknown) => (isMap(one) && 'value' in one ? { ...one, value: leftOut } : one));
  if ((key === 'args' || key === 'command') && Array.isArray(value))
    // two arguments, `--token` and `x`; a pattern finds `--token=x`
    return value.map((one: unknown, at) => (isSecretFlag(value[at - 1]) ? leftOut : one));
  return value;
}

const isSecretFlag = (word: unknown): boolean =>
  typeof word === 'string' && /^--?[\w-]+$/.test(word) && secretField.test(word);
