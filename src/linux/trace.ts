import { messageOf } from '../error.ts';
import type { Packet } from '../dataplane/walk.ts';
import { isIn, walk } from '../dataplane/walk.ts';
import { membersPrefix } from '../dataplane/ownership.ts';
import { nameOf } from '../dataplane/chains.ts';
import type { Chain, IPSet, Table } from '../dataplane/state.ts';
import { familyOf, type Family } from '../net/address.ts';
import { linkPrefix } from '../net/name.ts';
import { observeChains, type Saved } from './iptablesread.ts';
import { parseSets } from './ipset.ts';
import { once } from './once.ts';
import { CommandError, whyFailed, type Run } from './run.ts';

/** As src/rows/trace.ts has it: this folder knows no rows. */
interface Step<What extends string> {
  what: What;
  is: 'OK' | 'Wrong' | 'Unknown';
  evidence: string;
}
type Hop = Step<
  'bridge' | 'route' | 'isolation' | 'NAT' | 'neighbour' | 'FDB' | 'underlay' | 'member' | 'container'
>;

interface TracedPacket {
  family: Family;
  from: string;
  to: string;
  protocol: Packet['protocol'];
  port?: number;
  side: 'out' | 'in';
  peer?: string;
}

interface Route {
  type?: string;
  dev?: string;
  gateway?: string;
  via?: { host: string };
  table?: string;
  prefsrc?: string;
}

interface Neighbour {
  dst: string;
  lladdr?: string;
  state?: string[];
}

/**
 * A packet's way through this node, from what its kernel answers: routes, neighbours, forwarding entries, sets and our own
 * chains. No packet is sent. It ends at the first step that is wrong.
 * @param tunnel name of the tunnel's link
 */
export async function trace(run: Run, tunnel: string, asked: TracedPacket): Promise<Hop[]> {
  const node = new Node(run, tunnel, asked);
  const hops: Hop[] = [];
  for await (const hop of asked.side === 'out' ? node.out() : node.in()) {
    hops.push(hop);
    if (hop.is === 'Wrong') break;
  }
  return hops;
}

class Node {
  readonly #run: Run;
  readonly #tunnel: string;
  readonly #asked: TracedPacket;
  /** All steps judge by the same sets. */
  readonly #sets = once(async (): Promise<ReadonlyMap<string, IPSet> | string> => {
    const text = await this.#text(['ipset', 'save']);
    return typeof text === 'string' ? text : parseSets(text.stdout);
  });

  constructor(run: Run, tunnel: string, asked: TracedPacket) {
    this.#run = run;
    this.#tunnel = tunnel;
    this.#asked = asked;
  }

  async *out(): AsyncGenerator<Hop, void, void> {
    const { from, to } = this.#asked;
    const back = await this.#route(from);
    if (typeof back === 'string') return yield { what: 'bridge', is: 'Wrong', evidence: back };
    const bridge = back.dev ?? '';
    if (!isBridge(bridge))
      return yield {
        what: 'bridge',
        is: 'Wrong',
        evidence: `${from} is reached by ${bridge}, and not by a bridge of ours`,
      };
    yield { what: 'bridge', is: 'OK', evidence: `${from} is on ${bridge} (ip route get ${from})` };
    const route = await this.#route(to, '-from', bridge);
    if (typeof route === 'string') return yield { what: 'route', is: 'Wrong', evidence: route };
    yield { what: 'route', is: 'OK', evidence: routeText(to, route) };
    const oif = route.type === 'local' ? undefined : route.dev;
    yield* this.#rules({ iif: bridge, ...(oif === undefined ? {} : { oif }) });
    if (oif === this.#tunnel) yield* this.#tunnelled(route);
    else if (oif !== undefined && isBridge(oif)) yield* this.#container(oif);
  }

  async *in(): AsyncGenerator<Hop, void, void> {
    const { to, peer } = this.#asked;
    if (peer !== undefined) yield await this.#member(peer);
    const route = await this.#route(to, '-from', this.#tunnel);
    if (typeof route === 'string') return yield { what: 'route', is: 'Wrong', evidence: route };
    yield { what: 'route', is: 'OK', evidence: routeText(to, route) };
    const oif = route.type === 'local' ? undefined : route.dev;
    yield* this.#rules({ iif: this.#tunnel, ...(oif === undefined ? {} : { oif }) });
    if (oif !== undefined && isBridge(oif)) yield* this.#container(oif);
  }

  /** Asks the kernel for the route to an address. Returns the route, or the reason why the kernel names none. */
  async #route(to: string, from?: '-from', iif = ''): Promise<Route | string> {
    const source = from === undefined ? [] : ['from', this.#asked.from, 'iif', iif];
    const args = ['-j', 'route', 'get', to, ...source];
    const answer = await this.#json<Route>(['ip', ...args]);
    if (typeof answer === 'string') return `ip ${args.slice(1).join(' ')}: ${answer}`;
    const [route] = answer;
    if (route === undefined) return `ip ${args.slice(1).join(' ')} says nothing`;
    return ['unreachable', 'blackhole', 'prohibit'].includes(route.type ?? '') ? routeText(to, route) : route;
  }

  /** Our own chains, in the order in which the kernel comes to them. */
  async *#rules(links: { iif: string; oif?: string }): AsyncGenerator<Hop, void, void> {
    const { family, from, to, protocol, port } = this.#asked;
    const packet: Packet = {
      family,
      source: from,
      target: to,
      protocol,
      ...links,
      ...(port === undefined ? {} : { port }),
    };
    const read = await this.#sets();
    if (typeof read === 'string') return yield { what: 'isolation', is: 'Unknown', evidence: read };
    const saves = await observeChains(this.#run);
    const through = links.oif === undefined ? 'INPUT' : 'FORWARD';
    const order: [table: Table, hook: Chain['hook']][] = [
      ['raw', 'PREROUTING'],
      ['mangle', 'PREROUTING'],
      ['mangle', through],
      ['filter', through],
      ...(links.oif === undefined ? [] : [['mangle', 'POSTROUTING'] as [Table, Chain['hook']]]),
    ];
    let evidence = 'no rule of overlaynet drops it';
    for (const [table, hook] of order)
      for (const { name, rules } of chainsOf(saves, family, table, hook)) {
        const { target, rule } = walk(rules, read, packet);
        if (target === 'DROP' || target === 'REJECT')
          return yield {
            what: 'isolation',
            is: 'Wrong',
            evidence: `${target} by ${table} ${name}: ${rule ?? ''}`,
          };
        if (table === 'mangle' && hook === through && rule !== undefined)
          evidence = `passes ${table} ${name} by: ${rule}`;
      }
    yield { what: 'isolation', is: 'OK', evidence };
    if (links.oif === undefined) return;
    for (const { name, rules } of chainsOf(saves, family, 'nat', 'POSTROUTING')) {
      const { target, rule } = walk(rules, read, packet);
      const keeps = target === undefined || target === 'ACCEPT' || target === 'RETURN';
      yield {
        what: 'NAT',
        is: 'OK',
        evidence: keeps
          ? `keeps its source ${from}${rule === undefined ? '' : `, by nat ${name}: ${rule}`}`
          : `leaves with the node's address, by nat ${name}: ${rule ?? ''}`,
      };
    }
  }

  async *#tunnelled(route: Route): AsyncGenerator<Hop, void, void> {
    const gateway = route.gateway ?? route.via?.host ?? '';
    const tunnel = this.#tunnel;
    const neighbours = await this.#neighbours(tunnel);
    if (typeof neighbours === 'string')
      return yield { what: 'neighbour', is: 'Unknown', evidence: neighbours };
    const mac = neighbours.find(({ dst }) => dst === gateway)?.lladdr;
    if (mac === undefined)
      return yield {
        what: 'neighbour',
        is: 'Wrong',
        evidence: `${tunnel} has no neighbour entry for ${gateway}`,
      };
    yield { what: 'neighbour', is: 'OK', evidence: `${gateway} is ${mac} on ${tunnel}` };
    const entries = await this.#json<{ mac: string; dst?: string }>([
      'bridge',
      '-j',
      'fdb',
      'show',
      'dev',
      tunnel,
    ]);
    if (typeof entries === 'string') return yield { what: 'FDB', is: 'Unknown', evidence: entries };
    const dst = entries.find((entry) => entry.mac === mac && entry.dst !== undefined)?.dst;
    if (dst === undefined)
      return yield { what: 'FDB', is: 'Wrong', evidence: `${tunnel} has no forwarding entry for ${mac}` };
    yield { what: 'FDB', is: 'OK', evidence: `${mac} is behind ${dst} on ${tunnel}` };
    const under = await this.#route(dst);
    if (typeof under === 'string') yield { what: 'underlay', is: 'Wrong', evidence: under };
    else yield { what: 'underlay', is: 'OK', evidence: routeText(dst, under) };
  }

  async *#container(bridge: string): AsyncGenerator<Hop, void, void> {
    const { to } = this.#asked;
    const neighbours = await this.#neighbours(bridge);
    if (typeof neighbours === 'string')
      return yield { what: 'container', is: 'Unknown', evidence: neighbours };
    const known = neighbours.find(({ dst }) => dst === to);
    const state = known?.state?.join(',') ?? '';
    if (known === undefined || known.lladdr === undefined)
      yield state.includes('FAILED')
        ? {
            what: 'container',
            is: 'Wrong',
            evidence: `${to} does not answer on ${bridge}: its neighbour entry is FAILED`,
          }
        : { what: 'container', is: 'Unknown', evidence: `${bridge} has not looked for ${to} of late` };
    else yield { what: 'container', is: 'OK', evidence: `${to} is ${known.lladdr} on ${bridge} (${state})` };
  }

  async #member(peer: string): Promise<Hop> {
    const sets = await this.#sets();
    if (typeof sets === 'string') return { what: 'member', is: 'Unknown', evidence: sets };
    const name = `${membersPrefix}${familyOf(peer)}`;
    const isMember = isIn(sets.get(name)?.entries ?? [], peer);
    return {
      what: 'member',
      is: isMember ? 'OK' : 'Wrong',
      evidence: `${peer} is ${isMember ? '' : 'not '}in ${name}: its tunnel packets are ${isMember ? 'taken' : 'dropped'}`,
    };
  }

  #neighbours(link: string): Promise<Neighbour[] | string> {
    return this.#json(['ip', '-j', 'neigh', 'show', 'dev', link]);
  }

  async #json<T>(command: [string, ...string[]]): Promise<T[] | string> {
    const text = await this.#text(command);
    if (typeof text === 'string') return text;
    try {
      return text.stdout.trim() === '' ? [] : (JSON.parse(text.stdout) as T[]);
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Text: why it failed. */
  async #text([program, ...args]: [string, ...string[]]): Promise<{ stdout: string } | string> {
    try {
      const { code, stdout, stderr } = await this.#run(program, args, { timeoutMs: 2_000 });
      return code === 0 ? { stdout } : whyFailed({ stderr, code });
    } catch (error) {
      if (error instanceof CommandError) return error.message;
      throw error;
    }
  }
}

const isBridge = (name: string): boolean =>
  name.startsWith(linkPrefix.cni) || name.startsWith(linkPrefix.docker);

const routeText = (to: string, { type, gateway, via, dev = '', table }: Route): string =>
  [
    `${to} ${type === undefined || type === 'unicast' ? '' : `${type} `}`.trimEnd(),
    ...(gateway === undefined ? [] : [`via ${gateway}`]),
    ...(via === undefined ? [] : [`via ${via.host}`]),
    ...(dev === '' ? [] : [`dev ${dev}`]),
    ...(table === undefined ? [] : [`table ${table}`]),
  ].join(' ');

/** Ours of a hook, in the backend that has them. */
function chainsOf(saves: readonly Saved[], family: Family, table: Table, hook: Chain['hook']) {
  const names = [nameOf({ hook }), nameOf({ hook, last: true })];
  return saves
    .filter((save) => save.family === family)
    .flatMap(({ rules }) => [...(rules.chains.get(table)?.own ?? [])])
    .filter(([name]) => names.includes(name))
    .map(([name, rules]) => ({ name, rules }));
}
