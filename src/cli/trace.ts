import { familyOf, formatAddress, isAddress, parseAddress } from '../net/address.ts';
import { containsAddress, parseCidr } from '../net/cidr.ts';
import type { AgentRow, BlockRow, ContainerRow } from '../rows/row.ts';
import { traceText, type Hop, type TraceQuery } from '../rows/trace.ts';
import type { Access } from './access.ts';
import { exitOf, printChains, read, type Chain, type Step } from './chain.ts';
import { Failure } from './failure.ts';
import { skew } from './list.ts';
import type { Output } from './output.ts';

export interface TraceOptions {
  from: string;
  to: string;
  protocol?: 'tcp' | 'udp' | 'icmp';
  output?: 'json';
}

/** Where a packet goes: an address, or a pod; with a port or without. */
export type Target = { port?: number } & ({ address: string } | { pod: string });

/** `IP`, `IP:PORT`, `[IPv6]:PORT`, `NAMESPACE/NAME`, `NAMESPACE/NAME:PORT`. @throws Failure */
export function targetIn(text: string, flag: string): Target {
  const wrong = () =>
    new Failure(
      `${flag} "${text}" is neither an address nor a pod`,
      'give one such as 9.0.1.7, 9.0.1.7:80, [fd01:b::7]:80, shop/web-0 or shop/web-0:80',
    );
  if (isAddress(text)) return { address: formatAddress(parseAddress(text)) };
  const match = /^(?:\[([^\]]+)\]|([^[\]:]+))(?::([0-9]{1,5}))?$/.exec(text);
  const name = match?.[1] ?? match?.[2] ?? '';
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  if (port !== undefined && (port < 1 || port > 65_535)) throw wrong();
  const of = port === undefined ? {} : { port };
  if (isAddress(name)) return { ...of, address: formatAddress(parseAddress(name)) };
  if (match?.[1] !== undefined || !/^[a-z0-9][-a-z0-9]*\/[a-z0-9][-.a-z0-9]*$/.test(name)) throw wrong();
  return { ...of, pod: name };
}

/** `trace --from POD --to …`. @returns 0 every step is right, 1 one is wrong, 2 one could not be read */
export async function traceCommand(access: Access, options: TraceOptions, out: Output): Promise<number> {
  const from = targetIn(options.from, '--from');
  const to = targetIn(options.to, '--to');
  if (!('pod' in from) || from.port !== undefined)
    throw new Failure(
      `--from "${options.from}" is not a pod’s NAMESPACE/NAME`,
      'give one such as shop/web-0',
    );
  const protocol = options.protocol ?? (to.port === undefined ? 'icmp' : 'tcp');
  if (protocol === 'icmp' && to.port !== undefined)
    throw new Failure(
      '--protocol icmp has no ports',
      'leave the port of --to out, or give --protocol tcp or udp',
    );
  const agents = (await access.all('agents')).items;
  const blocks = (await access.all('blocks')).items;
  const source = (await containers(access, from.pod)).filter(({ runtime }) => runtime === 'CNI');
  const ends = endsOf(source, 'pod' in to ? await containers(access, to.pod) : to.address, options);
  const query = {
    family: familyOf(ends.from),
    ...ends,
    protocol,
    ...(to.port === undefined ? {} : { port: to.port }),
  };
  const chains = await follow(access, query, ends.node, holderOf(ends.to, agents, blocks), agents);
  printChains(chains, options.output, out);
  skew(access, out);
  return exitOf(chains);
}

async function containers(access: Access, pod: string): Promise<ContainerRow[]> {
  const [namespace = '', name = ''] = pod.split('/');
  const { items, unanswered = [] } = await access.all('containers', { namespace });
  const rows = items.filter((row) => row.pod === name);
  if (rows.length > 0) return rows;
  const silent = unanswered
    .map(({ node }) => node)
    .slice(0, 5)
    .join(', ');
  throw new Failure(
    `no node has a record of pod ${pod} on an overlay${silent === '' ? '' : `; ${silent} did not answer`}`,
    `kubectl overlay why pod ${pod}`,
  );
}

/** Addresses of one family, of one network where both have one. @throws Failure */
export function endsOf(
  source: readonly ContainerRow[],
  target: readonly ContainerRow[] | string,
  { from, to }: Pick<TraceOptions, 'from' | 'to'>,
): { from: string; to: string; node: string } {
  const real = ({ addresses }: ContainerRow) => addresses.filter((one) => !one.startsWith('fe80:'));
  const pairs = source.flatMap((row) =>
    real(row).flatMap((own) => {
      const others: { address: string; network?: string }[] =
        typeof target === 'string'
          ? [{ address: target }]
          : target.flatMap((other) => real(other).map((address) => ({ address, network: other.network })));
      return others
        .filter(({ address }) => familyOf(address) === familyOf(own))
        .map(({ address, network }) => ({
          from: own,
          to: address,
          node: row.node,
          isSame: network === row.network,
        }));
    }),
  );
  const [best] = pairs.toSorted((a, b) => Number(b.isSame) - Number(a.isSame));
  if (best === undefined)
    throw new Failure(
      `${from} and ${to} have no address of one family`,
      'give networks of one family to both, by annotation',
    );
  return { from: best.from, to: best.to, node: best.node };
}

/** The node that an address is on: it holds the block; undefined beyond the overlays. */
export function holderOf(
  address: string,
  agents: readonly AgentRow[],
  blocks: readonly BlockRow[],
): string | undefined {
  const own = agents.find((row) => row.addresses.includes(address));
  const block = blocks.find(
    ({ space, cidr, state }) =>
      space !== 'vtep' && state !== 'Cooling' && containsAddress(parseCidr(cidr), parseAddress(address)),
  );
  return own?.node ?? block?.node;
}

async function follow(
  access: Access,
  query: Omit<TraceQuery, 'side'>,
  node: string,
  holder: string | undefined,
  agents: readonly AgentRow[],
): Promise<Chain[]> {
  const { from, to, protocol, port } = query;
  const what = `${protocol} from ${from} to ${to}${port === undefined ? '' : ` port ${port}`}`;
  const out = await ofNode(access, node, { ...query, side: 'out' }, `${what}, on node ${node}`);
  const isTunnelled = out.steps.some((step) => step.what === 'FDB');
  if (exitOf([out]) === 1 || holder === undefined || holder === node || !isTunnelled) return [out];
  const peer = agents
    .find((row) => row.node === node)
    ?.addresses.find((one) => familyOf(one) === underlayOf(out));
  return [
    out,
    await ofNode(
      access,
      holder,
      { ...query, side: 'in', ...(peer === undefined ? {} : { peer }) },
      `then on node ${holder}`,
    ),
  ];
}

/** Family of the address that the forwarding entry leads to. */
const underlayOf = ({ steps }: Chain): 4 | 6 =>
  /behind \S*:/.test(steps.find(({ what }) => what === 'FDB')?.evidence ?? '') ? 6 : 4;

async function ofNode(access: Access, node: string, query: TraceQuery, about: string): Promise<Chain> {
  const said = await read(() => access.trace(node, traceText(query)));
  if ('why' in said)
    return {
      about,
      steps: [{ what: 'agent', is: 'Unknown', evidence: said.why, next: `kubectl overlay why node ${node}` }],
    };
  return { about, steps: said.value.map((hop) => stepOf(hop, node)) };
}

const stepOf = ({ what, is, evidence }: Hop, node: string): Step => {
  if (is !== 'Wrong') return { what, is, evidence };
  const next =
    what === 'isolation'
      ? 'the networks do not talk: spec.isolation of both (docs/isolation.md)'
      : `kubectl overlay why node ${node}`;
  return { what, is, evidence, next };
};
