import { namePattern } from '../net/name.ts';
import type { Kind } from './row.ts';

/** The parameters of a request for rows. */
export interface Query {
  network?: string;
  node?: string;
  namespace?: string;
  /** The text as the user typed it. */
  search?: string;
  limit: number;
  /** Key of the last row of the previous page. */
  after?: string;
  /** Number of rows to skip, as an alternative to `after`. */
  offset?: number;
  /** Order of the rows; absent: by their keys. */
  sort?: Sort;
}

export interface Sort {
  column: string;
  /** Reverses the order. */
  down: boolean;
}

/** Columns by which containers can be sorted. Other kinds have one order. */
export const containerSorts = [
  'address',
  'container',
  'network',
  'node',
  'runtime',
  'mac',
  'kernel',
  'since',
] as const;
export type ContainerSort = (typeof containerSorts)[number];

/** The reason why a query is refused, for an answer with status 400. */
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

/** Returns the body of that answer. */
export const refusalOf = ({ message, parameter, value, rule }: QueryError) => ({
  error: message,
  parameter,
  value,
  rule,
});

const shortened = (text: string): string => (text.length <= 100 ? text : `${text.slice(0, 100)}…`);

export const limits = { usual: 500, most: 5_000 };

const names = ['network', 'node', 'namespace', 'search', 'limit', 'continue', 'offset', 'sort'] as const;
type Name = (typeof names)[number];

const objectName = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;

const rules: Record<'network' | 'node' | 'namespace' | 'search', [pattern: RegExp, rule: string]> = {
  network: [namePattern, 'must be the name of a network: lower-case letters, digits and hyphens, at most 13'],
  node: [objectName, 'must be the name of a Node: lower-case letters, digits, hyphens and dots, at most 253'],
  namespace: [objectName, 'must be the name of a namespace: lower-case letters, digits and hyphens'],
  search: [/^[^\p{Cc}]{1,256}$/u, 'must have 1 to 256 characters, none of them a control character'],
};

/**
 * Parses the query part of a URL.
 * @throws QueryError
 */
export function parseQuery(kind: Kind, text: string): Query {
  const given = new Map<Name, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (!isName(name))
      throw new QueryError(shortened(name), value, `no such parameter; there are ${names.join(', ')}`);
    if (given.has(name)) throw new QueryError(name, value, 'must be given once');
    if (name === 'namespace' && kind !== 'containers')
      throw new QueryError(name, value, `only containers have a namespace, not ${kind}`);
    if (name === 'sort' && kind !== 'containers')
      throw new QueryError(name, value, `only containers are sorted, not ${kind}`);
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
  const [sort, offset, token] = [given.get('sort'), given.get('offset'), given.get('continue')];
  if (sort !== undefined) query.sort = sortIn(sort);
  if (offset !== undefined) query.offset = offsetIn(offset);
  if (offset !== undefined && token !== undefined)
    throw new QueryError(
      'offset',
      offset,
      'does not go together with continue: each says where a page begins',
    );
  if (token !== undefined) query.after = afterIn(token, kind, query);
  return query;
}

function sortIn(text: string): Sort {
  const column = text.replace(/^-/, '');
  if (!(containerSorts as readonly string[]).includes(column))
    throw new QueryError(
      'sort',
      text,
      `must be one of ${containerSorts.join(', ')}, with - before it for the last first`,
    );
  return { column, down: text.startsWith('-') };
}

const mostOffset = 10_000_000;

function offsetIn(text: string): number {
  const offset = /^[0-9]{1,8}$/.test(text) ? Number(text) : NaN;
  if (!(offset <= mostOffset))
    throw new QueryError('offset', text, `must be a whole number from 0 to ${mostOffset}`);
  return offset;
}

const isName = (text: string): text is Name => (names as readonly string[]).includes(text);

function limitIn(text: string | undefined): number {
  if (text === undefined) return limits.usual;
  const limit = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > limits.most)
    throw new QueryError('limit', text, `must be a whole number from 1 to ${limits.most}`);
  return limit;
}

/** The parameters that a page must have in common with the previous one. */
const question = (
  kind: Kind,
  { network = '', node = '', namespace = '', search = '', sort }: Query,
): string[] => [
  kind,
  network,
  node,
  namespace,
  search,
  ...(sort === undefined ? [] : [`${sort.down ? '-' : ''}${sort.column}`]),
];

/** Returns the value of `?continue=` for the page after that row. */
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
