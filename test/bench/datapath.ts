import { join } from 'node:path';
import { go } from '../../hack/parts/part.ts';
import { buildProgram } from '../../hack/parts/plugins.ts';
import type { Pod } from '../chaos/pods.ts';
import { bare, flannel, vxlan } from './peers.ts';
import { overlaynet, Sites, type Site } from './sites.ts';
import { quantile, type Figure } from './table.ts';

const root = join(import.meta.dirname, '..', '..');
/** Many short turns, so that other work on the machine affects all sites alike. */
const rounds = 15;
const seconds = 0.25;
/**
 * Runs both sides at the same real-time priority. Round-robin, because with --fifo a spinning thread of Go's runtime
 * would never give the processor to the thread that it waits for.
 */
const first = ['chrt', '--rr', '1'] as const;

/** The kinds of traffic that are measured for each family; `kind` as in test/bench/traffic. */
const kinds = [
  { kind: 'udp', what: '64-byte UDP packets, thousand/s', unit: 1e3 },
  { kind: 'rr', what: 'TCP request and response, thousand/s', unit: 1e3 },
  { kind: 'crr', what: 'TCP connect, request, close, thousand/s', unit: 1e3 },
  { kind: 'stream', what: 'one TCP stream, Gbit/s', unit: 1e9 },
  { kind: 'streams', what: 'eight TCP streams, Gbit/s', unit: 1e9 },
] as const;

interface Row {
  kind: (typeof kinds)[number]['kind'];
  what: string;
  unit: number;
  addressOf: (pod: Pod) => string;
}

const rows: readonly Row[] = [
  ...kinds.map((row) => ({ ...row, addressOf: ({ ip }: Pod) => ip })),
  ...kinds.map((row) => ({ ...row, what: `IPv6: ${row.what}`, addressOf: ({ ip6 }: Pod) => ip6 })),
];

/**
 * Measures traffic between containers of two nodes: with our data path and all its guards, and with other ways. All
 * sites are measured in turns, and the median of the rounds counts.
 */
export async function datapath(): Promise<Figure[]> {
  const ways = [bare, vxlan, flannel];
  const sites = await Sites.up([...ways, overlaynet(2 * ways.length)]);
  try {
    const medians = await measure(sites.all);
    return rows.map((row) => figure(row, (name) => medians.get(row)?.get(name) ?? NaN));
  } finally {
    await sites.down();
  }
}

/** Values by row and site. */
type Rates<T> = Map<Row, Map<string, T>>;

/** Returns the median of each row's rounds. */
async function measure(sites: readonly Site[]): Promise<Rates<number>> {
  const traffic = await buildProgram(
    join(root, 'test', 'bench', 'traffic'),
    join(root, 'dist', 'traffic'),
    go,
  );
  const [program, ...options] = [...first, traffic];
  const servers = sites.map(({ server }) => server.netns.spawn(program, [...options, 'serve']));
  for (const { ready } of servers) await ready;
  const seen: Rates<number[]> = new Map(rows.map((row) => [row, new Map<string, number[]>()]));
  for (let round = 0; round < rounds; round++) {
    // reverses the order, so that no site is always first or always follows the same site
    const turn = round % 2 === 0 ? sites : sites.toReversed();
    for (const row of rows) {
      for (const { name, client, server } of turn) {
        const args = [...options, row.kind, '-to', row.addressOf(server), '-for', `${seconds}s`];
        const { stdout, stderr, code } = await client.netns.run(program, args);
        if (code !== 0) throw new Error(`${name}, ${row.what}: ${stderr.trim()}`);
        const of = seen.get(row);
        of?.set(name, [...(of.get(name) ?? []), Number(stdout)]);
      }
    }
  }
  for (const { stop } of servers) await stop();
  const middle = (of: Map<string, number[]>) =>
    new Map([...of].map(([name, rates]) => [name, quantile(rates, 0.5)]));
  return new Map([...seen].map(([row, of]) => [row, middle(of)]));
}

function figure({ what, unit }: Row, rate: (name: string) => number): Figure {
  const ratio = rate('overlaynet') / rate('flannel-like');
  const text = (name: string) => (rate(name) / unit).toFixed(1);
  return {
    what: `${what}; bare ${text('bare')}, VXLAN ${text('VXLAN')}`,
    measured: text('overlaynet'),
    floor: `${text('flannel-like')} flannel-like`,
    ratio,
    bound: '≥ 1.0×',
    ok: ratio >= 1,
  };
}
