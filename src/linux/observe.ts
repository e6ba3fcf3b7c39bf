import { protocol } from '../dataplane/ownership.ts';
import type { Desired, Failure, Observed } from '../dataplane/state.ts';
import { ruleFamily } from '../dataplane/rules.ts';
import { dump, isWhole } from './dump.ts';
import { parseFDB, parseLinks, parseNeighbours, parseNexthops, parseRoutes, parseRules } from './iproute.ts';
import { parseSets } from './ipset.ts';
import { CommandError, whyFailed, type Run } from './run.ts';

/** Runs a program and parses its output. Errors go to `failures` in the program's words. */
async function read<T>(
  run: Run,
  failures: Failure[],
  [program, ...args]: [string, ...string[]],
  parse: (stdout: string) => T,
  input = '',
): Promise<T | undefined> {
  const command = [program, ...args].join(' ');
  try {
    const result = await dump(run, program, args, input);
    const { stdout, stderr, code } = result;
    if (code === 0 && isWhole(result)) return parse(stdout);
    failures.push({ message: `${program}: ${whyFailed({ stderr, code })} (${command})`, command });
  } catch (error) {
    if (!(error instanceof CommandError) && !(error instanceof SyntaxError)) throw error;
    failures.push({
      message: error.name === 'CommandError' ? error.message : `${program}: ${error.message}`,
      command,
    });
  }
  return undefined;
}

const shows = ['nexthop show', `route show table all proto ${protocol}`, 'rule show'];

/**
 * Reads the kernel's state, in six processes at most.
 * @param withSets whether sets are read, including those of other programs
 */
export async function observe(
  run: Run,
  { tunnel, rules }: Desired,
  withSets = true,
): Promise<{ observed: Observed; failures: Failure[] }> {
  const failures: Failure[] = [];
  // a kernel without IPv6 has no rules to show; that is a failure only if IPv6 rules are wanted
  const failures6 = [...rules].some((rule) => ruleFamily(rule) === 6) ? failures : [];
  const [links, dump, rules6, sets] = await Promise.all([
    read(run, failures, ['ip', '-N', '-j', '-d', 'address', 'show'], parseLinks),
    read(run, failures, ['ip', '-N', '-j', '-batch', '-'], parseDump, `${shows.join('\n')}\n`),
    read(run, failures6, ['ip', '-6', '-N', '-j', 'rule', 'show'], parseRules),
    withSets ? read(run, failures, ['ipset', 'save'], parseSets) : undefined,
  ]);
  const onTunnel = tunnel !== undefined && links?.get(tunnel)?.ours === true;
  const [neighbours, fdb] = onTunnel ? await observeTunnel(run, failures, tunnel) : [new Map(), new Map()];
  const observed: Observed = {
    links,
    neighbours,
    fdb,
    nexthops: dump?.nexthops,
    routes: dump?.routes,
    rules: { 4: dump?.rules, 6: rules6 },
    sets,
  };
  return { observed, failures };
}

/** Reads a tunnel's neighbours and FDB entries. */
export const observeTunnel = (run: Run, failures: Failure[], tunnel: string) =>
  Promise.all([
    read(run, failures, ['ip', '-N', '-j', 'neigh', 'show', 'dev', tunnel], parseNeighbours),
    read(run, failures, ['bridge', '-j', 'fdb', 'show', 'dev', tunnel], parseFDB),
  ]);

/** Splits the output of a batch: one line for each command. */
function parseDump(text: string) {
  const [nexthops = '', routes = '', rules = ''] = text.split('\n');
  return { nexthops: parseNexthops(nexthops), routes: parseRoutes(routes), rules: parseRules(rules) };
}
