import { messageOf } from '../error.ts';
import { signal } from '@preact/signals';
import { changesPath, pathOf, type Kind, type Page, type Rows } from '../rows/row.ts';

/** An operator's answer with an error status. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  /** Returns whether the same request would be refused again. */
  get isFinal(): boolean {
    return this.status < 500 && this.status !== 429;
  }
}

/** `looking`: the page does not know yet whether a token is needed. */
export const session = signal<'looking' | 'out' | 'in'>('looking');
/** The reason why the last token was refused; empty if there was none. */
export const refusal = signal('');
/** The operator's version, once it has answered. */
export const operatorVersion = signal('');

/** Kept in memory only: after a reload, the page asks for it again. */
let token: string | undefined;

/** Maximum number of requests at once: an operator reviews only a few for one user. */
const atOnce = 3;
const attempts = 5;
let free = atOnce;
const waiting: (() => void)[] = [];

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (free > 0) free--;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The page is at /ui/, one level below the root of the operator's paths, which may have a prefix. */
const urlOf = (path: string): URL => new URL(`..${path}`, document.baseURI);

const send = (path: string, abort: AbortSignal): Promise<Response> =>
  fetch(urlOf(path), {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal: abort,
    cache: 'no-store',
    credentials: 'omit',
  });

/**
 * Returns an answer with status 200.
 * @throws Refusal; TypeError if the operator cannot be reached
 */
async function answered(path: string, abort: AbortSignal): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const used = token;
    const response = await send(path, abort);
    if (response.ok) return response;
    const words = await wordsOf(response);
    if ((response.status === 429 || response.status === 503) && attempt < attempts) {
      await sleep(Math.min(5, Number(response.headers.get('retry-after') ?? 1)) * 1_000);
      abort.throwIfAborted();
      continue;
    }
    // the user may have entered another token meanwhile
    if (response.status === 401 && used === token) signOut(used === undefined ? '' : words);
    throw new Refusal(response.status, words);
  }
}

async function wordsOf(response: Response): Promise<string> {
  const body = await response.text();
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    if (typeof error === 'string') return error;
  } catch {
    // not JSON: the text is shown as it is
  }
  return `${response.status} ${body.trim().slice(0, 200)}`;
}

/**
 * Returns the operator's answer at a path.
 * @throws Refusal, TypeError
 */
export async function get<T extends { version: string }>(
  path: string,
  query: Record<string, string | undefined>,
  abort: AbortSignal,
): Promise<T> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) parameters.set(name, value);
  const answer = await inTurn(async () => {
    const response = await answered(`${path}?${parameters.toString()}`, abort);
    return (await response.json()) as T;
  });
  operatorVersion.value = answer.version;
  return answer;
}

/**
 * Returns one page of rows.
 * @throws Refusal, TypeError
 */
export const ask = <K extends Kind>(
  kind: K,
  query: Record<string, string | undefined>,
  abort: AbortSignal,
): Promise<Page<Rows[K]>> => get(pathOf(kind), query, abort);

/**
 * Opens the operator's stream of changes.
 * @throws Refusal, TypeError
 */
export async function openChanges(abort: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const { body } = await answered(changesPath, abort);
  if (body === null) throw new TypeError('an answer without a body');
  return body;
}

/** Tries a token, or none: an operator on a loopback address needs no token. */
export async function signIn(given: string | undefined): Promise<void> {
  token = given;
  try {
    await ask('networks', { limit: '1' }, AbortSignal.timeout(20_000));
    refusal.value = '';
    session.value = 'in';
  } catch (error) {
    session.value = 'out';
    if (!(error instanceof Refusal && error.status === 401)) refusal.value = messageOf(error);
  }
}

export function signOut(why = ''): void {
  token = undefined;
  refusal.value = why;
  session.value = 'out';
}
