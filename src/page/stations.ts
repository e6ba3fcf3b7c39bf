import type { Leg, PacketPath, PathHop } from '../rows/path.ts';
import type { Tone } from './marks.tsx';

/** A step in the picture. `ahead`: the packet does not get that far. */
export type Station = (PathHop & { ahead?: false }) | { what: PathHop['what']; ahead: true };

export interface DrawnLeg {
  node: string;
  side: Leg['side'];
  stations: Station[];
}

/** The steps of a complete way. */
const whole = {
  tunnel: ['container', 'bridge', 'route', 'isolation', 'NAT', 'neighbour', 'FDB', 'underlay'],
  bridge: ['container', 'bridge', 'route', 'isolation', 'NAT', 'container'],
  outside: ['container', 'bridge', 'route', 'isolation', 'NAT'],
  in: ['member', 'route', 'isolation', 'NAT', 'container'],
} satisfies Record<string, PathHop['what'][]>;

/** Returns the steps that were checked and, after a wrong one, the steps that the packet does not reach. */
export function drawn({ to, verdict, legs }: Pick<PacketPath, 'to' | 'verdict' | 'legs'>): DrawnLeg[] {
  const [last] = legs.slice(-1);
  const all = legs.map(({ node, side, hops }): DrawnLeg => ({ node, side, stations: [...hops] }));
  if (verdict !== 'Wrong' || last === undefined) return all;
  const goesOver = to.node !== undefined && to.node !== last.node;
  const way = last.side === 'in' ? 'in' : goesOver ? 'tunnel' : to.node === undefined ? 'outside' : 'bridge';
  all.at(-1)?.stations.push(...behind(whole[way], last.hops.at(-1)?.what, last.hops.length));
  if (last.side === 'out' && goesOver && to.node !== undefined)
    all.push({ node: to.node, side: 'in', stations: whole.in.map((what) => ({ what, ahead: true })) });
  return all;
}

/** Returns the steps after `what`. A way within one node has two container steps; the first one sends. */
function behind(
  way: readonly PathHop['what'][],
  what: PathHop['what'] | undefined,
  count: number,
): Station[] {
  const at = what === undefined ? -1 : count > 1 ? way.lastIndexOf(what) : way.indexOf(what);
  return way.slice(at + 1).map((one) => ({ what: one, ahead: true }));
}

export const verdictTones: Record<PathHop['is'], Tone> = { OK: 'good', Wrong: 'bad', Unknown: 'odd' };

export const stationTone = (station: Station): Tone =>
  station.ahead === true ? 'off' : verdictTones[station.is];
