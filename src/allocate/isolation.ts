import type { Finding } from '../api/conditions.ts';
import type { OverlayNetwork } from '../api/types.ts';

type Network = Pick<OverlayNetwork, 'metadata' | 'spec' | 'status'>;

/**
 * The condition `Isolated`: which networks an isolated network may talk with, and which names in `allow` have no
 * effect. Undefined if the network was never isolated.
 */
export function isolation({ metadata, spec, status }: Network, all: readonly Network[]): Finding | undefined {
  const type = 'Isolated';
  const { mode = 'Open', allow = [], hosts = 'Allow', allowAPIServer = false } = spec.isolation ?? {};
  if (mode === 'Open') {
    const before = status?.conditions?.some((condition) => condition.type === type) ?? false;
    const message = 'any network may open connections; allow and hosts are not in force';
    return before ? { type, status: 'False', reason: 'Open', message } : undefined;
  }
  const others = allow.filter((name) => name !== metadata.name);
  const known = new Map(all.map((network) => [network.metadata.name, network.spec.isolation]));
  const unknown = others.filter((name) => !known.has(name));
  const deaf = others.filter((name) => {
    const theirs = known.get(name);
    return theirs?.mode === 'Isolated' && !(theirs.allow ?? []).includes(metadata.name);
  });
  const nothing = [
    ...(unknown.length > 0 ? [`there is no network ${unknown.join(', ')}`] : []),
    ...(deaf.length > 0 ? [`${deaf.join(', ')} must allow ${metadata.name} too`] : []),
  ];
  const open = others.filter((name) => !unknown.includes(name) && !deaf.includes(name));
  const nodes =
    hosts === 'Allow' ? 'other nodes too' : allowAPIServer ? 'the API server too' : 'no other node';
  const message = `connections with ${open.length === 0 ? 'no other network' : open.join(', ')}, and ${nodes}`;
  return nothing.length === 0
    ? { type, status: 'True', reason: 'Isolated', message }
    : {
        type,
        status: 'True',
        reason: 'AllowedInVain',
        message: `spec.isolation.allow: ${nothing.join('; ')}; ${message}`,
      };
}
