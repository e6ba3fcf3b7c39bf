import { changes, mark, type Change } from '../chaos/allocation/history.ts';
import type { AgentAllocation, KubeObject } from '../../src/api/types.ts';

/** One version of one of our objects, as etcd stored it. */
export interface Version {
  revision: number;
  /** `agentallocations`, … */
  plural: string;
  name: string;
  /** undefined if it was deleted. */
  object: KubeObject | undefined;
}

const prefix = '/registry/overlaynet.dev/';

/**
 * Returns every version of every object of ours that etcd ever stored, in order, including those that were replaced
 * before any watch could report them. After a restore, lost versions are missing.
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

/** Returns the VTEP and the blocks in an AgentAllocation. */
export const shownBy = ({ spec }: Pick<AgentAllocation, 'spec'>): string[] => [
  ...(spec.vtep === undefined ? [] : [spec.vtep.mac]),
  ...[spec.vtep?.ip, spec.vtep?.ip6].flatMap((ip) => (ip === undefined ? [] : [ip])),
  ...(spec.networks ?? []).flatMap(({ subnets }) => subnets.map(({ cidr }) => cidr)),
];

/** Returns the blocks that two AgentAllocations contained at the same revision: `REVISION: BLOCK by NODE and NODE`. */
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
