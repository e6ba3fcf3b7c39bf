import { nothing } from '../dataplane/desired.ts';
import type { TableSpec } from '../dataplane/nftable.ts';
import { routeKey, type Failure, type Observed, type ObservedLink } from '../dataplane/state.ts';
import { mayClear } from './hidden.ts';
import { planChains } from './iptables.ts';
import { observeChains, programOf, type Saved } from './iptablesread.ts';
import { tablesThere } from './nft.ts';
import { observe, observeTunnel } from './observe.ts';
import type { Run } from './run.ts';

/** What the kernel has of ours: the kind of object in the plural → names. */
export type Remains = Map<string, string[]>;

/** Finds, by the same marks as `DataPath.cleanup`, everything that it would remove. Changes nothing. */
export async function findRemains(
  run: Run,
  specs: readonly TableSpec[],
): Promise<{ remains: Remains; failures: Failure[] }> {
  const [{ observed, failures }, saves, there] = await Promise.all([
    observe(run, nothing()),
    observeChains(run),
    tablesThere(run, specs),
  ]);
  const chains = planChains(nothing().chains, saves);
  const hidden = await mayClear(run, chains.hidden);
  const links = [...(observed.links?.values() ?? [])].filter(({ ours }) => ours);
  const tunnels = await Promise.all(
    links.flatMap(({ name, vxlan }) => (vxlan === undefined ? [] : [entriesOf(run, failures, name)])),
  );
  const found: [string, string[]][] = [
    ...objectsOf(links),
    ['neighbours', tunnels.flatMap(({ neighbours }) => neighbours)],
    ['FDB entries', tunnels.flatMap(({ fdb }) => fdb)],
    ...objectsIn(observed),
    ['iptables chains', [...saves.flatMap(chainsIn), ...hidden.names]],
    ['nftables tables', there.names],
  ];
  return {
    remains: new Map(found.filter(([, names]) => names.length > 0)),
    failures: [...failures, ...chains.failures, ...hidden.failures, ...there.failures],
  };
}

/** An address of a link that is ours is ours. */
const objectsOf = (links: readonly ObservedLink[]): [string, string[]][] => [
  ['links', links.map(({ name }) => name)],
  ['addresses', links.flatMap(({ name, addresses }) => addresses.map((address) => `${address} on ${name}`))],
];

/** The entries that the kernel does not make with the tunnel. */
async function entriesOf(run: Run, failures: Failure[], tunnel: string) {
  const [neighbours, fdb] = await observeTunnel(run, failures, tunnel);
  const named = (entries: ReadonlyMap<string, { permanent: boolean }> | undefined): string[] =>
    [...(entries ?? [])].flatMap(([name, { permanent }]) => (permanent ? [`${name} on ${tunnel}`] : []));
  return { neighbours: named(neighbours), fdb: named(fdb) };
}

const objectsIn = ({ nexthops, routes, rules, sets }: Observed): [string, string[]][] => [
  ['nexthops', [...(nexthops ?? [])].filter(([, { ours }]) => ours).map(([id]) => `id ${id}`)],
  [
    'routes',
    [...(routes?.values() ?? [])].map((route) => routeKey(route).replace(/ (\S+) \S+$/, ' table $1')),
  ],
  ['routing rules', [...(rules[4] ?? []), ...(rules[6] ?? [])]],
  ['ipsets', [...(sets?.keys() ?? [])]],
];

/** `OVERLAYNET-INPUT (iptables-nft, mangle)` */
const chainsIn = ({ backend, family, rules }: Saved): string[] =>
  [...rules.chains].flatMap(([table, { own }]) =>
    [...own.keys()].map((name) => `${name} (${programOf(backend, family)}, ${table})`),
  );
