import { diffChains } from '../dataplane/chains.ts';
import { chainPrefix } from '../dataplane/ownership.ts';
import type { Chain, Failure, ObservedChains, ObservedTable } from '../dataplane/state.ts';
import type { Family } from '../net/address.ts';
import { CommandError, type Run } from './run.ts';

type Backend = 'nft' | 'legacy';

/** What one of the four `iptables-save` printed of ours; without `chains` it failed. */
interface Save {
  backend: Backend;
  family: Family;
  chains?: ObservedChains;
  /** kubelet's hint that this is the node's backend. */
  canary: boolean;
  failure?: string;
}

const program = (backend: Backend, family: Family, verb: 'save' | 'restore'): string =>
  `${family === 4 ? 'iptables' : 'ip6tables'}-${backend}-${verb}`;

/** Reads both families of both backends: rules in the one that is not the node's are left-overs. */
export async function observeChains(run: Run): Promise<Save[]> {
  const backends: Backend[] = ['nft', 'legacy'];
  const families: Family[] = [4, 6];
  return Promise.all(backends.flatMap((backend) => families.map((family) => save(run, backend, family))));
}

async function save(run: Run, backend: Backend, family: Family): Promise<Save> {
  const name = program(backend, family, 'save');
  try {
    const { stdout, stderr, code } = await run(name, []);
    if (code === 0) return { backend, family, ...parseChains(stdout) };
    return { backend, family, canary: false, failure: `${name}: ${stderr.trim() || `exit status ${code}`}` };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { backend, family, canary: false, failure: error.message };
  }
}

/** nft unless kubelet's chains in the mangle table say legacy: the rule of Kubernetes' iptables-wrappers. */
const backendOf = (saves: Save[]): Backend =>
  saves.find(({ backend, canary }) => backend === 'nft' && canary)?.backend ??
  saves.find(({ canary }) => canary)?.backend ??
  'nft';

/** One program's input. */
interface Restore {
  program: string;
  input: string;
}

/** What is to be written so that our chains are as wanted in the node's backend, and gone from the other one. */
export function planChains(
  desired: Record<Family, Chain[]>,
  saves: Save[],
): { restores: Restore[]; changes: number; failures: Failure[] } {
  const failures: Failure[] = [];
  const restores: Restore[] = [];
  let changes = 0;
  const current = backendOf(saves);
  // the new backend's rules stand before the old one's go
  const inOrder = saves.toSorted((a, b) => Number(b.backend === current) - Number(a.backend === current));
  for (const { backend, family, chains, failure } of inOrder) {
    const wanted = backend === current ? desired[family] : [];
    if (chains === undefined) {
      if (wanted.length > 0 && failure !== undefined) failures.push({ message: failure });
      continue;
    }
    const restore = diffChains(wanted, chains);
    if (restore.changes === 0) continue;
    changes += restore.changes;
    restores.push({ program: program(backend, family, 'restore'), input: restore.input });
  }
  return { restores, changes, failures };
}

export async function applyChains(run: Run, restores: Restore[]): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const { program: name, input } of restores) {
    try {
      const { stderr, code } = await run(name, ['-w', '5', '--noflush'], { input });
      if (code !== 0) failures.push({ message: `${name}: ${words(stderr) || `exit status ${code}`}` });
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      failures.push({ message: error.message });
    }
  }
  return failures;
}

const words = (stderr: string): string =>
  stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('Try '))
    .join('; ');

const canaries = [':KUBE-IPTABLES-HINT ', ':KUBE-KUBELET-CANARY '];

/** From `iptables-save`, all tables. */
export function parseChains(text: string): { chains: ObservedChains; canary: boolean } {
  const chains: ObservedChains = new Map();
  let canary = false;
  let name = '';
  let table: ObservedTable = { own: new Map(), hooks: new Map() };
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      name = line.slice(1);
      table = { own: new Map(), hooks: new Map() };
    } else if (line.startsWith(':')) {
      const chain = line.slice(1, line.indexOf(' '));
      if (chain.startsWith(chainPrefix)) table.own.set(chain, []);
      // a built-in chain has a policy
      else if (!line.startsWith(`:${chain} - `)) table.hooks.set(chain, []);
      if (name === 'mangle' && canaries.some((start) => line.startsWith(start))) canary = true;
    } else if (line.startsWith('-A ')) {
      const end = line.indexOf(' ', 3);
      const chain = line.slice(3, end);
      (table.own.get(chain) ?? table.hooks.get(chain))?.push(line.slice(end + 1));
    } else if (line === 'COMMIT') {
      chains.set(name, table);
    }
  }
  return { chains, canary };
}
