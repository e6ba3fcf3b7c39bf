import type { AgentAllocation, KubeObject } from '../../src/api/types.ts';

/** One version of an object of ours, as etcd stored it. */
export interface Version {
  revision: number;
  /** `agentallocations`, … */
  plural: string;
  name: string;
  /** undefined: it was deleted. */
  object: KubeObject | undefined;
}

interface WatchAnswer {
  error?: { message: string };
  result?: { canceled?: boolean; events?: Event[] };
}
interface Event {
  type?: 'DELETE';
  kv: { key: string; mod_revision: string; value?: string };
}

const prefix = '/registry/overlaynet.dev/';
/** The next key after all that begin with the prefix, where the API server stores nothing: its version ends a history. */
const end = '/registry/overlaynet.dev0';
const base64 = (text: string) => Buffer.from(text).toString('base64');
const text = (encoded: string | undefined) => Buffer.from(encoded ?? '', 'base64').toString();

/**
 * Every version of every object of ours that etcd ever stored, in its order, up to now: those too that were replaced
 * before any watch of the API server could show them. After a restore the lost ones are not among them.
 */
export async function history(etcd: string, from = 1): Promise<Version[]> {
  const post = async (call: string, body: unknown) => {
    const answer = await fetch(`${etcd}/v3/${call}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok || answer.body === null) throw new Error(`etcd ${call}: ${await answer.text()}`);
    return answer.body;
  };
  await (await post('kv/put', { key: base64(end), value: '' })).cancel();
  const range = { key: base64(prefix), range_end: base64(`${end}0`) };
  const stream = await post('watch', { create_request: { ...range, start_revision: String(from) } });
  const versions: Version[] = [];
  const last = await lastRevision(post, base64(end));
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const { error, result } = JSON.parse(line) as WatchAnswer;
      if (error !== undefined || result?.canceled === true) throw new Error(`etcd ended the watch: ${line}`);
      for (const event of result?.events ?? []) {
        if (Number(event.kv.mod_revision) >= last) return versions;
        versions.push(...versionOf(event));
      }
    }
  }
  throw new Error('etcd ended the watch');
}

async function lastRevision(
  post: (call: string, body: unknown) => Promise<ReadableStream>,
  key: string,
): Promise<number> {
  const { kvs } = (await new Response(await post('kv/range', { key })).json()) as {
    kvs: [{ mod_revision: string }];
  };
  return Number(kvs[0].mod_revision);
}

function versionOf({ type, kv }: Event): Version[] {
  const [plural, name, ...more] = text(kv.key).slice(prefix.length).split('/');
  if (plural === undefined || name === undefined || more.length > 0) return [];
  const object = type === 'DELETE' ? undefined : (JSON.parse(text(kv.value)) as KubeObject);
  return [{ revision: Number(kv.mod_revision), plural, name, object }];
}

/** What an AgentAllocation shows: VTEP, and blocks by network. */
export const shownBy = ({ spec }: Pick<AgentAllocation, 'spec'>): string[] => [
  ...(spec.vtep === undefined ? [] : [spec.vtep.mac]),
  ...[spec.vtep?.ip, spec.vtep?.ip6].flatMap((ip) => (ip === undefined ? [] : [ip])),
  ...(spec.networks ?? []).flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr)),
];

/** At any revision: what two AgentAllocations showed at the same time, `REVISION: BLOCK by NODE and NODE`. */
export function sharedIn(versions: readonly Version[]): string[] {
  const holders = new Map<string, string>();
  const shown = new Map<string, string[]>();
  const found: string[] = [];
  for (const { revision, plural, name, object } of versions) {
    if (plural !== 'agentallocations') continue;
    for (const block of shown.get(name) ?? []) if (holders.get(block) === name) holders.delete(block);
    const blocks = object === undefined ? [] : shownBy(object as AgentAllocation);
    shown.set(name, blocks);
    for (const block of blocks) {
      const other = holders.get(block);
      if (other !== undefined) found.push(`${revision}: ${block} by ${other} and ${name}`);
      holders.set(block, name);
    }
  }
  return found;
}
