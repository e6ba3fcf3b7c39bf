import { namePattern } from '../net/name.ts';
import type { Kind } from './row.ts';

/** Which rows somebody asks for. */
export interface Query {
  network?: string;
  node?: string;
  namespace?: string;
  /** As it was typed. */
  search?: string;
  limit: number;
  /** Key of the row before the first one. */
  after?: string;
}

/** Why a query is refused: for an answer with status 400. */
export class QueryError extends Error {
  override name = 'QueryError';
  readonly parameter: string;
  readonly value: string;
  readonly rule: string;

  constructor(parameter: string, value: string, rule: string) {
    super(`parameter ${parameter}="${shortened(value)}": ${rule}`);
    this.parameter = parameter;
    this.value = shortened(value);
    this.rule = rule;
  }
}

/** The body of that answer. */
export const refusalOf = ({ message, parameter, value, rule }: QueryError) => ({
  error: message,
  parameter,
  value,
  rule,
});

const shortened = (text: string): string => (text.length <= 100 ? text : `${text.slice(0, 100)}…`);

export const limits = { usual: 500, most: 5_000 };

const names = ['network', 'node', 'namespace', 'search', 'limit', 'continue'] as const;
type Name = (typeof names)[number];

const objectName = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;

const rules: Record<Exclude<Name, 'limit' | 'continue'>, [pattern: RegExp, rule: string]> = {
  network: [namePattern, 'must be the name of a network: lower-case letters, digits and hyphens, at most 13'],
  node: [objectName, 'must be the name of a Node: lower-case letters, digits, hyphens and dots, at most 253'],
  namespace: [objectName, 'must be the name of a namespace: lower-case letters, digits and hyphens'],
  search: [/^[^\p{Cc}]{1,256}$/u, 'must have 1 to 256 characters, none of them a control character'],
};

/** The query in the part of a URL behind `?`. @throws QueryError */
export function parseQuery(kind: Kind, text: string): Query {
  const given = new Map<Name, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (!isName(name))
      throw new QueryError(shortened(name), value, `no such parameter; there are ${names.join(', ')}`);
    if (given.has(name)) throw new QueryError(name, value, 'must be given once');
    if (name === 'namespace' && kind !== 'containers')
      throw new QueryError(name, value, `only containers have a namespace, not ${kind}`);
    given.set(name, value);
  }
  const query: Query = { limit: limitIn(given.get('limit')) };
  for (const name of ['network', 'node', 'namespace', 'search'] as const) {
    const value = given.get(name);
    if (value === undefined) continue;
    const [pattern, rule] = rules[name];
    if (!pattern.test(value)) throw new QueryError(name, value, rule);
    query[name] = value;
  }
  const token = given.get('continue');
  if (token !== undefined) query.after = afterIn(token, kind, query);
  return query;
}

const isName = (text: string): text is Name => (names as readonly string[]).includes(text);

function limitIn(text: string | undefined): number {
  if (text === undefined) return limits.usual;
  const limit = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > limits.most)
    throw new QueryError('limit', text, `must be a whole number from 1 to ${limits.most}`);
  return limit;
}

/** What a page that goes on must have in common with the one before it. */
const question = (kind: Kind, { network = '', node = '', namespace = '', search = '' }: Query): string[] => [
  kind,
  network,
  node,
  namespace,
  search,
];

/** What `?continue=` takes to go on behind that row. */
export const continueAfter = (kind: Kind, query: Query, key: string): string =>
  base64(JSON.stringify([...question(kind, query), key]));

function afterIn(token: string, kind: Kind, query: Query): string {
  const wrong = (rule: string) => new QueryError('continue', token, rule);
  let parts: unknown;
  try {
    parts = JSON.parse(text(token));
  } catch {
    throw wrong('must be what the page before gave');
  }
  const asked = question(kind, query);
  if (
    !Array.isArray(parts) ||
    parts.length !== asked.length + 1 ||
    parts.some((one) => typeof one !== 'string')
  )
    throw wrong('must be what the page before gave');
  if (asked.some((part, at) => part !== (parts as string[])[at]))
    throw wrong('must come with the path and the other parameters of the page before');
  return (parts as string[])[asked.length] ?? '';
}

const base64 = (plain: string): string =>
  btoa(String.fromCharCode(...new TextEncoder().encode(plain)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');

function text(token: string): string {
  const bytes = Uint8Array.from(atob(token.replaceAll('-', '+').replaceAll('_', '/')), (one) =>
    one.charCodeAt(0),
  );
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}
