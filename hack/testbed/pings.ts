import { commandInContainer, type Container } from './containers.ts';
import { CommandFailed } from '../parts/command.ts';
import { addressesOf, type Lab } from './lab.ts';

interface Ping {
  from: Container;
  to: string;
  /** The owner of the address: `node3/dcos`, or `node1` itself. */
  target: string;
}

export interface PingResult extends Ping {
  sent: number;
  received: number;
  /** Round trip in ms; absent if no answer came. */
  average?: number;
}

const family = (address: string) => (address.includes(':') ? '6' : '4');

/** Pings from each network's first container to its others and to every node's own address. */
export function pingsAmong(containers: Container[], nodes: string[]): Ping[] {
  const networks = [...new Set(containers.map((one) => one.network))];
  return networks.flatMap((network) => {
    const [from, ...others] = containers.filter((one) => one.network === network);
    if (!from) return [];
    const families = from.addresses.map(family);
    const peers = others.flatMap((one) =>
      one.addresses.map((to) => ({ from, to, target: `${one.node}/${one.name}` })),
    );
    const own = nodes.flatMap((node) => addressesOf(node).map((to) => ({ from, to, target: node })));
    return [...peers, ...own].filter((one) => families.includes(family(one.to)));
  });
}

export function parsePing(output: string): { sent: number; received: number; average?: number } {
  const [, sent = '0', received = '0'] = /(\d+) packets transmitted, (\d+) received/.exec(output) ?? [];
  const average = /= [\d.]+\/([\d.]+)\//.exec(output)?.[1];
  return {
    sent: Number(sent),
    received: Number(received),
    ...(average !== undefined && { average: Number(average) }),
  };
}

/** Sends three packets for each ping, all at the same time. A missing answer is a result, not an error. */
export function ping(lab: Lab, all: Ping[]): Promise<PingResult[]> {
  return Promise.all(
    all.map(async (one) => {
      const argv = ['ping', '-n', '-c', '3', '-i', '0.2', '-W', '1', one.to];
      const output = await commandInContainer(lab, one.from, argv).catch((error: unknown) => {
        if (error instanceof CommandFailed && error.code === 1) return error.stderr;
        throw error;
      });
      return { ...one, ...parsePing(output) };
    }),
  );
}
