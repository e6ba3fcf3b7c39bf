import { diffGuard, guardTable, portKey, setFamily } from '../dataplane/spoof.ts';
import type { Guard, ObservedChain, ObservedGuard } from '../dataplane/spoof.ts';
import type { Failure } from '../dataplane/state.ts';
import { formatAddress, type Family } from '../net/address.ts';
import { CommandError, type Run } from './run.ts';

/** What it says on failing is compared. */
const env = { LC_ALL: 'C' };

interface Outcome {
  changes: number;
  failures: Failure[];
}

/**
 * Brings the table against spoofing to what the containers' records ask for: one process to look, one to change what
 * differs, atomically.
 * @param wanted called once it is known what is there: an element that has no record by then is of no container
 */
export const guard = (run: Run, wanted: () => Guard): Promise<Outcome> =>
  attempt(async () => {
    const observed = await observe(run);
    const { input, changes } = diffGuard(wanted(), observed);
    if (changes > 0) await nft(run, ['-f', '-'], input);
    return changes;
  });

/** Removes the table. */
export const removeGuard = (run: Run): Promise<Outcome> =>
  attempt(async () => {
    if ((await observe(run)) === undefined) return 0;
    await nft(run, ['delete', 'table', ...guardTable.split(' ')]);
    return 1;
  });

async function attempt(work: () => Promise<number>): Promise<Outcome> {
  try {
    return { changes: await work(), failures: [] };
  } catch (error) {
    if (!(error instanceof CommandError) && !(error instanceof SyntaxError)) throw error;
    const message = error.name === 'CommandError' ? error.message : `nft: ${error.message}`;
    return { changes: 0, failures: [{ message }] };
  }
}

async function nft(run: Run, args: string[], input = ''): Promise<void> {
  const { stderr, code } = await run('nft', args, { input, env });
  if (code !== 0)
    throw new CommandError(`nft: ${stderr.trim().split('\n', 3).join(' ')} (nft ${args.join(' ')})`);
}

async function observe(run: Run): Promise<ObservedGuard> {
  const args = ['-j', 'list', 'table', ...guardTable.split(' ')];
  const { stdout, stderr, code } = await run('nft', args, { env });
  if (code === 0) return parseGuard(stdout);
  if (stderr.includes('No such file or directory')) return undefined;
  throw new CommandError(`nft: ${stderr.trim() || `exit status ${code}`} (nft ${args.join(' ')})`);
}

interface ObjectJSON {
  chain?: { name: string; type?: string; hook?: string; prio?: number };
  rule?: { chain: string; comment?: string };
  set?: { name: string; elem?: { concat?: [string, string | number, string | number] }[] };
}

/** From `nft -j list table`. */
export function parseGuard(json: string): NonNullable<ObservedGuard> {
  const chains = new Map<string, ObservedChain>();
  const ports: Partial<Record<Family, Set<string>>> = {};
  for (const { chain, rule, set } of (JSON.parse(json) as { nftables: ObjectJSON[] }).nftables) {
    if (chain !== undefined) {
      const { name, type, hook, prio } = chain;
      chains.set(name, { base: hook === undefined ? '' : `${type ?? ''} ${hook} ${prio ?? 0}`, marks: [] });
    }
    if (rule !== undefined) chains.get(rule.chain)?.marks.push(rule.comment ?? '');
    const family = setFamily(set?.name ?? '');
    if (set === undefined || family === undefined) continue;
    const keys = (set.elem ?? []).flatMap(({ concat }) =>
      concat === undefined ? [] : [keyOf(family, concat)],
    );
    ports[family] = new Set(keys);
  }
  return { chains, ports };
}

/** Bits come as a number, or as text in hexadecimal where they are many. */
function keyOf(family: Family, [port, mac, address]: [string, string | number, string | number]): string {
  if (family === 4) return portKey(port, String(mac), String(address));
  const digits = BigInt(mac).toString(16).padStart(12, '0');
  const text = formatAddress({ family, value: BigInt(address) });
  return portKey(port, digits.replace(/..(?!$)/g, '$&:'), text);
}
