import { readAttachments } from '../containers/attachments.ts';
import type { AttachedInterface } from '../dataplane/attachment.ts';
import { CommandError, whyFailed, type Run } from '../linux/run.ts';
import type { Log } from '../log.ts';
import { QueryError, refusalOf } from '../rows/query.ts';
import { parsePacketOrder, readSightings, type PacketOrder } from '../rows/send.ts';
import { json, type Posted, type Reply } from '../serve/http.ts';

/**
 * How long a node watches for a packet from another node. Sending takes at most 1.5 s, and the two start at different times.
 */
const watchMs = 2_000;
const mostWatches = 4;

/**
 * Answers `POST /overlay-agent/packet`: lets the CNI plugin send a packet as a container of this node would, or watch for a
 * packet that another node sends. Only one packet at a time, because the plugin removes what an earlier one left.
 */
export function packetEndpoint(options: {
  node: string;
  /** Path of the CNI plugin's file. */
  plugin: string;
  stateDir: string;
  run: Run;
  log: Log;
}): (request: Posted) => Promise<Reply> {
  const { node, plugin, stateDir, run, log } = options;
  const underWay = { out: 0, in: 0 };
  return async ({ body, by }) => {
    try {
      const order = parsePacketOrder(body);
      const { side } = order;
      const args = side === 'out' ? sendArgs(order, node, stateDir) : watchArgs(order);
      if (underWay[side] >= (side === 'out' ? 1 : mostWatches))
        return json(429, { error: 'another packet is being traced already: try again in two seconds' });
      underWay[side]++;
      try {
        const { from, to, protocol, port } = order;
        if (side === 'out') log.info('sends a packet', { from, to, protocol, port, by });
        return await answerOf(run, plugin, args);
      } finally {
        underWay[side]--;
      }
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      return json(400, refusalOf(error));
    }
  };
}

async function answerOf(run: Run, plugin: string, args: string[]): Promise<Reply> {
  try {
    const { code, stdout, stderr } = await run(plugin, args, { timeoutMs: watchMs + 2_000 });
    if (code !== 0) return json(500, { error: `${plugin} ${args[0] ?? ''}: ${whyFailed({ stderr, code })}` });
    return json(200, readSightings(stdout));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return json(500, { error: error.message });
  }
}

const packetArgs = ({ from, to, protocol, port, id }: PacketOrder): string[] => [
  ...['--from', from, '--to', to, '--protocol', protocol, '--id', String(id)],
  ...(port === undefined ? [] : ['--port', String(port)]),
];

const watchArgs = (order: PacketOrder): string[] => ['watch', ...packetArgs(order), '--wait', `${watchMs}ms`];

/**
 * The plugin's arguments.
 * @throws QueryError if no CNI container of this node has the address
 */
function sendArgs(order: PacketOrder, node: string, stateDir: string): string[] {
  const all = readAttachments(stateDir).attachments.flatMap(({ interfaces }) => interfaces);
  const having = (address: string): AttachedInterface | undefined =>
    all.find(({ addresses, mac }) => mac !== '' && addresses.includes(address));
  const own = having(order.from);
  if (own === undefined)
    throw new QueryError('from', order.from, `no CNI container of ${node} has this address`);
  const target = having(order.to);
  // packets to a container on the same bridge are not routed
  const direct = target?.bridge === own.bridge ? ['--target-mac', target.mac] : [];
  return ['send', ...packetArgs(order), '--bridge', own.bridge, '--mac', own.mac, ...direct];
}
