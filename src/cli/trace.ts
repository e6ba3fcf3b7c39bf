import { endIn, type End, type Leg, type PacketPath } from '../rows/path.ts';
import type { Access } from './access.ts';
import { exitOf, printChains, type Chain } from './chain.ts';
import { CommandFailure } from './failure.ts';
import { skew } from './list.ts';
import type { Output } from './output.ts';

export interface TraceOptions {
  from: string;
  to: string;
  protocol?: 'tcp' | 'udp' | 'icmp';
  output?: 'json';
  /** Also send a packet. */
  send?: boolean;
}

/** The destination of a packet: an address or a pod, with or without a port. */
export type Target = { port?: number } & End;

/** `IP`, `IP:PORT`, `[IPv6]:PORT`, `NAMESPACE/NAME`, `NAMESPACE/NAME:PORT`. @throws CommandFailure */
export function targetIn(text: string, flag: string): Target {
  const wrong = () =>
    new CommandFailure(
      `${flag} "${text}" is neither an address nor a pod`,
      'give one such as 9.0.1.7, 9.0.1.7:80, [fd01:b::7]:80, shop/web-0 or shop/web-0:80',
    );
  const whole = endIn(text);
  if (whole !== undefined) return whole;
  const match = /^(?:\[([^\]]+)\]|([^[\]:]+))(?::([0-9]{1,5}))?$/.exec(text);
  const end = endIn(match?.[1] ?? match?.[2] ?? '');
  if (end === undefined || (match?.[1] !== undefined && 'pod' in end)) throw wrong();
  if (match?.[3] === undefined) return end;
  const port = Number(match[3]);
  if (port < 1 || port > 65_535) throw wrong();
  return { ...end, port };
}

/**
 * `trace --from POD --to …`.
 * @returns 0 if every step is right, 1 if one is wrong, 2 if one could not be read
 */
export async function traceCommand(access: Access, options: TraceOptions, out: Output): Promise<number> {
  const from = targetIn(options.from, '--from');
  const { port, ...to } = targetIn(options.to, '--to');
  if (from.port !== undefined)
    throw new CommandFailure(
      `--from "${options.from}" has a port`,
      'give a pod such as shop/web-0, or an address such as 9.0.1.7',
    );
  const protocol = options.protocol ?? (port === undefined ? 'icmp' : 'tcp');
  if (protocol === 'icmp' && port !== undefined)
    throw new CommandFailure(
      '--protocol icmp has no ports',
      'leave the port of --to out, or give --protocol tcp or udp',
    );
  const query = { from, to, protocol, ...(port === undefined ? {} : { port }) };
  const path = await (options.send === true ? access.send(query) : access.trace(query));
  const chains = path.legs.map((leg): Chain => ({ about: aboutOf(leg, path), steps: leg.hops }));
  if (path.sent !== undefined)
    chains.push({ about: `sent as ${path.from.name ?? path.from.address}`, steps: path.sent });
  printChains(chains, options.output, out);
  skew(access, out);
  return exitOf(chains);
}

function aboutOf({ node, side }: Leg, { from, to, protocol, port }: PacketPath): string {
  if (side === 'in') return `then on node ${node}`;
  return `${protocol} from ${from.address} to ${to.address}${port === undefined ? '' : ` port ${port}`}, on node ${node}`;
}
