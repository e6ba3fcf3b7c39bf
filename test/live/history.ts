import { changes, mark, type Change } from '../chaos/allocation/history.ts';
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

const prefix = '/registry/overlaynet.dev/';

/**
 * Every version of every object of ours that etcd ever stored, in its order, up to now: those too that were replaced
 * before any watch of the API server could show them. After a restore the lost ones are not among them.
 */
export async function history(etcd: string, from = 1): Promise<Version[]> {
  const last = await mark(etcd, 'up to here');
  const watch = new AbortController();
  const versions: Version[] = [];
  for await (const change of changes(etcd, watch.signal)) {
    if (change.revision >= last) break;
    if (change.revision >= from) versions.push(...versionOf(change));
  }
  watch.abort();
  return versions;
}

function versionOf({ revision, key, object, deleted }: Change): Version[] {
  if (!key.startsWith(prefix)) return [];
  const [plural, name, ...more] = key.slice(prefix.length).split('/');
  if (plural === undefined || name === undefined || more.length > 0) return [];
  return [{ revision, plural, name, object: deleted ? undefined : (object as KubeObject) }];
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
