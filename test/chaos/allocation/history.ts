/** One change of one key, in etcd's order. */
export interface Change {
  revision: number;
  key: string;
  /** The stored object; undefined if the key was deleted, and for values that are not JSON. */
  object: unknown;
  deleted: boolean;
}

interface WatchAnswer {
  error?: { message: string };
  result?: {
    canceled?: boolean;
    cancel_reason?: string;
    compact_revision?: string;
    events?: { type?: string; kv: { key: string; mod_revision: string; value?: string } }[];
  };
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const text = (base64Text: string) => Buffer.from(base64Text, 'base64').toString();

/**
 * The key in etcd that this harness itself writes, beside the API server's keys, so that its marks are ordered with
 * their changes.
 */
const markKey = '/registry/ovt-mark';

/** Writes a word into the history. Returns its revision. */
export async function mark(etcd: string, word: string): Promise<number> {
  const body = JSON.stringify({ key: base64(markKey), value: base64(JSON.stringify(word)) });
  const answer = await fetch(`${etcd}/v3/kv/put`, { method: 'POST', body });
  if (!answer.ok) throw new Error(`etcd: ${await answer.text()}`);
  const { header } = (await answer.json()) as { header: { revision: string } };
  return Number(header.revision);
}

/** Returns the word of a change that `mark` made. */
export const markIn = ({ key, object }: Change): string | undefined =>
  key === markKey ? String(object) : undefined;

/**
 * Yields every change under /registry since etcd's first revision, and future ones. It uses etcd's own watch, which
 * skips nothing and fails if changes were compacted away.
 */
export async function* changes(etcd: string, signal: AbortSignal): AsyncGenerator<Change> {
  const watch = { key: base64('/registry/'), range_end: base64('/registry0'), start_revision: '1' };
  const body = JSON.stringify({ create_request: watch });
  const answer = await fetch(`${etcd}/v3/watch`, { method: 'POST', body, signal });
  if (!answer.ok || answer.body === null) throw new Error(`etcd: ${await answer.text()}`);
  for await (const line of lines(answer.body)) {
    const { error, result } = JSON.parse(line) as WatchAnswer;
    if (error !== undefined) throw new Error(`etcd: ${error.message}`);
    if (result?.canceled === true)
      throw new Error(
        `etcd ended the watch: ${result.cancel_reason ?? `compacted to ${result.compact_revision ?? '?'}`}`,
      );
    for (const { type, kv } of result?.events ?? []) {
      const key = text(kv.key);
      const isOurs = key === markKey || key.startsWith('/registry/overlaynet.dev/');
      const value = isOurs && kv.value !== undefined ? text(kv.value) : '';
      yield {
        revision: Number(kv.mod_revision),
        key,
        object: value === '' ? undefined : (JSON.parse(value) as unknown),
        deleted: type === 'DELETE',
      };
    }
  }
}

async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest: string[] = [];
  for await (const chunk of body) {
    const parts = decoder.decode(chunk, { stream: true }).split('\n');
    for (const end of parts.splice(0, parts.length - 1)) {
      yield [...rest, end].join('');
      rest = [];
    }
    rest.push(...parts);
  }
}
