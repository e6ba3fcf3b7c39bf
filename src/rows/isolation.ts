import type { Isolation } from '../api/types.ts';
import type { NetworkRow } from './row.ts';

/** The fields that decide which networks may exchange packets. */
export type Policy = Pick<NetworkRow, 'name' | 'isolation' | 'allow'>;

/** Returns what a network's `spec.isolation` means; the fields of an open network are not in force. */
export function inForce(
  isolation: Isolation | undefined,
): Pick<NetworkRow, 'isolation' | 'allow' | 'hosts' | 'apiServer'> {
  if (isolation?.mode !== 'Isolated')
    return { isolation: 'Open', allow: [], hosts: 'Allow', apiServer: 'Allow' };
  const { allow = [], hosts = 'Allow', allowAPIServer = false } = isolation;
  const apiServer = hosts === 'Allow' || allowAPIServer ? 'Allow' : 'Deny';
  return { isolation: 'Isolated', allow: [...allow], hosts, apiServer };
}

const allows = ({ isolation, allow }: Policy, { name }: Policy): boolean =>
  isolation === 'Open' || allow.includes(name);

/** Returns which of two networks refuse connections between them; such connections pass if none does. */
export const refusing = (a: Policy, b: Policy): string[] =>
  a.name === b.name ? [] : [...(allows(a, b) ? [] : [a.name]), ...(allows(b, a) ? [] : [b.name])];

/**
 * Returns whether connections between two networks pass, which is the same in both directions: docs/isolation.md, "What
 * passes".
 */
export const talks = (a: Policy, b: Policy): boolean => refusing(a, b).length === 0;

/** Returns in words what the containers of a network reach; a network without a row counts as open. */
export function reachOf(name: string, networks: readonly NetworkRow[]): string {
  const own = networks.find((one) => one.name === name);
  if (own === undefined || own.isolation === 'Open')
    return 'Open: it reaches every network that is not isolated';
  const others = networks.filter((one) => one.name !== name && own.allow.includes(one.name));
  const names = (passes: boolean) =>
    others.flatMap((one) => (talks(own, one) === passes ? [one.name] : [])).join(', ');
  const parts = [`Isolated: it reaches ${[name, names(true)].filter((one) => one !== '').join(', ')}`];
  if (names(false) !== '') parts.push(`${names(false)} must allow ${name} too`);
  if (own.hosts === 'Deny')
    parts.push(`no process of another node${own.apiServer === 'Allow' ? ' but the API server' : ''}`);
  return parts.join('; ');
}
