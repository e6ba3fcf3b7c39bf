import { messageOf } from '../error.ts';
import { signal } from '@preact/signals';
import { changesPath, pathOf, type Kind, type Page, type Rows } from '../rows/row.ts';

/** What an operator answers that is not what was asked for. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  /** Whether the same question would be refused again. */
  get isFinal(): boolean {
    return this.status < 500 && this.status !== 429;
  }
}

/** `looking`: it is not known yet whether a token is needed. */
export const session = signal<'looking' | 'out' | 'in'>('looking');
/** Why the last token is not taken; empty where there was none. */
export const refusal = signal('');
/** The operator's version, once it has answered. */
export const operatorVersion = signal('');

/** In memory alone: a page that is loaded anew asks for it again. */
let token: string | undefined;

/** Requests at once: an operator reviews only a few for one user. */
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

/** The page is at /ui/ below what the operator serves, whatever stands before that. */
const urlOf = (path: string): URL => new URL(`..${path}`, document.baseURI);

const send = (path: string, abort: AbortSignal): Promise<Response> =>
  fetch(urlOf(path), {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal: abort,
    cache: 'no-store',
    credentials: 'omit',
  });

/** An answer with status 200. @throws Refusal; TypeError where the operator is not reached */
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
    // another token may have been given meanwhile
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
    // then as it is
  }
  return `${response.status} ${body.trim().slice(0, 200)}`;
}

/** One page of rows. @throws Refusal, TypeError */
export async function ask<K extends Kind>(
  kind: K,
  query: Record<string, string | undefined>,
  abort: AbortSignal,
): Promise<Page<Rows[K]>> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) parameters.set(name, value);
  const page = await inTurn(async () => {
    const response = await answered(`${pathOf(kind)}?${parameters.toString()}`, abort);
    return (await response.json()) as Page<Rows[K]>;
  });
  operatorVersion.value = page.version;
  return page;
}

/** The operator's stream of changes. @throws Refusal, TypeError */
export async function openChanges(abort: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const { body } = await answered(changesPath, abort);
  if (body === null) throw new TypeError('an answer without a body');
  return body;
}

/** Tries a token, or none: on a loopback address an operator asks for none. */
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
