import { flush, type Flow } from '../dataplane/flows.ts';
import { judged, type Policy } from '../dataplane/policy.ts';
import type { Failure } from '../dataplane/state.ts';
import { CommandError, type Run } from './run.ts';

/**
 * Ends the connections that a policy does not allow: rules judge only how a connection begins. A process lists
 * them, and one for each line of `flush` ends what it names: mostly one for each two subnets and direction.
 * @param local this node's addresses
 */
export async function endForbidden(run: Run, policy: Policy, local: ReadonlySet<string>): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const family of judged(policy)) {
    try {
      const ofFamily = ['-f', family === 4 ? 'ipv4' : 'ipv6'];
      const flows = parseFlows(await conntrack(run, ['-L', ...ofFamily]));
      for (const line of flush(flows, policy, local, family)) {
        await conntrack(run, ['-D', ...ofFamily, ...line.split(' ')]);
      }
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const message = `connections that are no longer allowed may go on: ${error.message}`;
      failures.push(...[...policy.isolated.keys()].map((network) => ({ network, message })));
    }
  }
  return failures;
}

async function conntrack(run: Run, args: string[]): Promise<string> {
  const { stdout, stderr, code } = await run('conntrack', args);
  // of what ended by itself meanwhile it says that there is none, and fails
  if (code !== 0 && !stderr.includes(' 0 flow entries ')) {
    throw new CommandError(`conntrack: ${stderr.trim() || `exit status ${code}`}`);
  }
  return stdout;
}

/** A line: protocol, who asked whom, who answers; ports where the protocol has them. One expression: tables are long. */
const entry =
  /^\S+\s+(\d+) .*? src=(\S+) dst=(\S+)(?: sport=(\d+) dport=(\d+))?.*? src=(\S+)(?: dst=\S+ sport=(\d+))?/gm;

/** From `conntrack -L -f FAMILY`: `tcp 6 117 ESTABLISHED src=… dst=… sport=… dport=… src=… dst=… sport=… …`. */
export const parseFlows = (text: string): Flow[] =>
  Array.from(
    text.matchAll(entry),
    ([, protocol, from = '', to = '', fromPort, toPort, server = '', serverPort]) => ({
      protocol: Number(protocol),
      from,
      to,
      server,
      ...(fromPort === undefined ? {} : { fromPort: Number(fromPort) }),
      ...(toPort === undefined ? {} : { toPort: Number(toPort) }),
      ...(serverPort === undefined ? {} : { serverPort: Number(serverPort) }),
    }),
  );
