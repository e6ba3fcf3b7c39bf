import { join } from 'node:path';
import { go } from '../../hack/parts/part.ts';
import { buildProgram } from '../../hack/parts/plugins.ts';
import { bare, flannel, vxlan } from './peers.ts';
import { overlaynet, Sites, type Site } from './sites.ts';
import { quantile, type Figure } from './table.ts';

const root = join(import.meta.dirname, '..', '..');
/** Short turns and many of them: what else the machine does meanwhile then meets all alike. */
const rounds = 15;
const seconds = 0.25;
/** Ahead of every other program, and with the same priority on both sides. */
const first = ['chrt', '--fifo', '1'] as const;

/** What is measured; `kind` as test/bench/traffic names it. */
const rows = [
  { kind: 'udp', what: '64-byte UDP packets, thousand/s', unit: 1e3 },
  { kind: 'rr', what: 'TCP request and response, thousand/s', unit: 1e3 },
  { kind: 'crr', what: 'TCP connect, request, close, thousand/s', unit: 1e3 },
  { kind: 'stream', what: 'one TCP stream, Gbit/s', unit: 1e9 },
  { kind: 'streams', what: 'eight TCP streams, Gbit/s', unit: 1e9 },
] as const;

type Row = (typeof rows)[number];

/**
 * Containers of two nodes with each other: by our data path, with all guards on, beside peers'. Everything is measured in
 * turns, and the middle of the rounds counts.
 */
export async function datapath(): Promise<Figure[]> {
  const ways = [bare, vxlan, flannel];
  const sites = await Sites.up([...ways, overlaynet(2 * ways.length)]);
  try {
    const medians = await measure(sites.all);
    return rows.map((row) => figure(row, (name) => medians.get(row.kind)?.get(name) ?? NaN));
  } finally {
    await sites.down();
  }
}

/** By row and site. */
type Rates<T> = Map<string, Map<string, T>>;

/** The middle of each row's rounds. */
async function measure(sites: readonly Site[]): Promise<Rates<number>> {
  const traffic = await buildProgram(
    join(root, 'test', 'bench', 'traffic'),
    join(root, 'dist', 'traffic'),
    go,
  );
  const [program, ...options] = [...first, traffic];
  const servers = sites.map(({ server }) => server.netns.spawn(program, [...options, 'serve']));
  for (const { ready } of servers) await ready;
  const seen: Rates<number[]> = new Map(rows.map(({ kind }) => [kind, new Map<string, number[]>()]));
  for (let round = 0; round < rounds; round++) {
    // nobody is always first, or always behind the same one
    const turn = round % 2 === 0 ? sites : sites.toReversed();
    for (const { kind } of rows) {
      for (const { name, client, server } of turn) {
        const args = [...options, kind, '-to', server.ip, '-for', `${seconds}s`];
        const { stdout, stderr, code } = await client.netns.run(program, args);
        if (code !== 0) throw new Error(`${name}, ${kind}: ${stderr.trim()}`);
        const of = seen.get(kind);
        of?.set(name, [...(of.get(name) ?? []), Number(stdout)]);
      }
    }
  }
  for (const { stop } of servers) await stop();
  const middle = (of: Map<string, number[]>) =>
    new Map([...of].map(([name, rates]) => [name, quantile(rates, 0.5)]));
  return new Map([...seen].map(([kind, of]) => [kind, middle(of)]));
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
