import { flush, type Flow } from '../dataplane/flows.ts';
import { familyOf, parseAddress, type Family } from '../net/address.ts';
import { containsAddress, formatCidr, parseCidr, type Cidr } from '../net/cidr.ts';
import { judgedFamilies, subnetsOf, type Policy } from '../dataplane/policy.ts';
import type { Failure } from '../dataplane/state.ts';
import { CommandError, whyFailed, type Run, type RunOptions } from './run.ts';
import { commandOf } from '../error.ts';

/**
 * Ends the connections that a policy does not allow, because rules judge only how a connection begins. One process
 * lists them, and one process for each line of `flush` ends what the line names, mostly all connections of two
 * subnets in one direction.
 * @param local this node's addresses
 */
export async function endForbidden(run: Run, policy: Policy, local: ReadonlySet<string>): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const family of judgedFamilies(policy)) {
    try {
      const ofFamily = ['-f', family === 4 ? 'ipv4' : 'ipv6'];
      const flows = await list(run, ofFamily, concern(policy, local, family));
      for (const line of flush(flows, policy, local, family)) {
        await conntrack(run, ['-D', ...ofFamily, ...line.split(' ')]);
      }
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const command = commandOf(error) ?? 'conntrack';
      const message = `connections that are no longer allowed may go on: ${error.message}`;
      failures.push(...[...policy.isolated.keys()].map((network) => ({ network, message, command })));
    }
  }
  return failures;
}

interface Concern {
  includes: (flow: Flow) => boolean;
  /** What `conntrack -L` filters by; empty if it cannot filter. */
  filter: string[];
}

/**
 * Selects the connections that a policy may forbid, or has to know of to spare them. These are connections begun by
 * containers and, where a network is closed to hosts, also those begun by hosts and those that lead to such a
 * network. A node that serves external clients has millions of others.
 */
function concern(policy: Policy, local: ReadonlySet<string>, family: Family): Concern {
  const hosts = policy.closed.size > 0 ? [...policy.hosts, ...local] : [];
  const alone = new Set(hosts.filter((text) => !text.includes('/')));
  const ranges = [...policy.subnets.map(({ cidr }) => cidr), ...hosts.filter((text) => text.includes('/'))]
    .filter((cidr) => familyOf(cidr) === family)
    .map(parseCidr);
  const closed = subnetsOf(policy, policy.closed, family).map(parseCidr);
  const [only, ...others] = ranges;
  const isIn = (among: readonly Cidr[], text: string) => {
    const address = parseAddress(text);
    return among.some((range) => containsAddress(range, address));
  };
  return {
    includes: ({ from, server }) =>
      alone.has(from) || isIn(ranges, from) || (closed.length > 0 && isIn(closed, server)),
    // conntrack filters by one range only
    filter:
      only !== undefined && others.length === 0 && alone.size === 0 && closed.length === 0
        ? ['-s', formatCidr(only)]
        : [],
  };
}

/** Lists connections line by line, because the text of three million connections is longer than a string can be. */
async function list(run: Run, ofFamily: string[], { includes, filter }: Concern): Promise<Flow[]> {
  const flows: Flow[] = [];
  const onLine = (line: string) => {
    const flow = parseFlow(line);
    if (flow !== undefined && includes(flow)) flows.push(flow);
  };
  await conntrack(run, ['-L', ...ofFamily, ...filter], { onLine, timeoutMs: 300_000 });
  return flows;
}

async function conntrack(run: Run, args: string[], options?: RunOptions): Promise<void> {
  const { stderr, code } = await run('conntrack', args, options);
  // if the connections ended meanwhile, conntrack says that there are none and fails
  if (code !== 0 && !stderr.includes(' 0 flow entries ')) {
    throw new CommandError(`conntrack: ${whyFailed({ stderr, code })}`, {
      command: ['conntrack', ...args].join(' '),
    });
  }
}

/**
 * Matches protocol, the asking side and the answering side, with ports where the protocol has them. One expression,
 * because the tables are long.
 */
const entry =
  /^\S+\s+(\d+) .*? src=(\S+) dst=(\S+)(?: sport=(\d+) dport=(\d+))?.*? src=(\S+)(?: dst=\S+ sport=(\d+))?/;

/**
 * Parses a line of `conntrack -L -f FAMILY`: `tcp 6 117 ESTABLISHED src=… dst=… sport=… dport=… src=… dst=… sport=…
 * …`.
 */
export function parseFlow(line: string): Flow | undefined {
  const found = entry.exec(line);
  if (found === null) return undefined;
  const [, protocol, from = '', to = '', fromPort, toPort, server = '', serverPort] = found;
  return {
    protocol: Number(protocol),
    from,
    to,
    server,
    ...(fromPort === undefined ? {} : { fromPort: Number(fromPort) }),
    ...(toPort === undefined ? {} : { toPort: Number(toPort) }),
    ...(serverPort === undefined ? {} : { serverPort: Number(serverPort) }),
  };
}
