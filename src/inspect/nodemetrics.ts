import { Counter, Gauge, type Registry } from 'prom-client';
import { connections } from '../linux/connections.ts';
import type { Drops } from '../linux/drops.ts';
import { linkCounters, type LinkCounters } from '../linux/links.ts';
import { certificateMetric } from '../serve/metrics.ts';

/** How often drop counters are read. That takes one process for each chain, so they are not read at each scrape. */
const dropsMs = 30_000;
/** The interval before the first pass. */
const firstMs = 2_000;

interface Sources {
  /** Name of the VXLAN link; undefined before it is known. */
  tunnel: () => string | undefined;
  /** PEM of the server's certificate; undefined while it serves without TLS. */
  certificate: () => string | undefined;
  /** Packets that our rules have dropped; undefined before the first pass. */
  drops: () => Promise<Drops | undefined>;
  /** For tests: the counters of a link, and the path of sysctls. */
  counters?: typeof linkCounters;
  sysctl?: string;
}

/**
 * Registers metrics that are read from the kernel: those from files at each scrape, those of rules every half minute.
 * @param prefix of the names: `overlaynet_agent_`
 * @returns a function that ends it
 */
export function followNode(registry: Registry, prefix: string, sources: Sources): () => void {
  const registers = [registry];
  const { tunnel, certificate, counters = linkCounters, sysctl = '/proc/sys' } = sources;
  certificateMetric(registry, prefix, certificate);
  for (const key of ['bytes', 'packets', 'errors', 'drops'] satisfies (keyof LinkCounters)[]) {
    new Counter({
      name: `${prefix}tunnel_${key}_total`,
      help: `The tunnel's ${key} since its link was made, by direction (receive, transmit).`,
      labelNames: ['direction'],
      registers,
      collect() {
        this.reset();
        const name = tunnel();
        const both = name === undefined ? undefined : counters(name);
        for (const [direction, of] of Object.entries(both ?? {})) this.inc({ direction }, of[key]);
      },
    });
  }
  for (const [key, help] of [
    ['count', 'Connections in the table of this node.'],
    ['most', 'Connections that fit into the table of this node.'],
  ] as const) {
    new Gauge({
      name: `${prefix}conntrack_${key === 'count' ? 'entries' : 'limit'}`,
      help: `${help} Absent where connections are not tracked.`,
      registers,
      collect() {
        const table = connections(sysctl);
        if (table === undefined) this.remove({});
        else this.set(table[key]);
      },
    });
  }
  return followDrops(registry, prefix, sources.drops);
}

function followDrops(registry: Registry, prefix: string, read: Sources['drops']): () => void {
  let last: Drops | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const look = async () => {
    // the pass reports rules that cannot be read; the last numbers stay
    last = (await read().catch(() => undefined)) ?? last;
    if (!stopped) timer = setTimeout(() => void look(), last === undefined ? firstMs : dropsMs).unref();
  };
  new Counter({
    name: `${prefix}dropped_packets_total`,
    help: 'Packets that rules of overlaynet dropped, by guard, as of the last half minute; writing a rule anew begins at 0.',
    labelNames: ['guard'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [guard, count] of Object.entries(last ?? {})) this.inc({ guard }, count);
    },
  });
  void look();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
