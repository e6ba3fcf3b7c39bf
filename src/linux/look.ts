import type { Attachments } from '../dataplane/attachment.ts';
import { desired } from '../dataplane/desired.ts';
import { diff } from '../dataplane/diff.ts';
import { differencesOf, type Difference } from '../dataplane/difference.ts';
import { portsOf } from '../dataplane/ports.ts';
import type { Snapshot } from '../dataplane/snapshot.ts';
import { planChains, type ChainPlan } from './iptables.ts';
import { observeChains, programOf, type Saved } from './iptablesread.ts';
import { possible, type ReadSwitch } from './ipv6.ts';
import { planTables, type TablePlan } from './nft.ts';
import { observe } from './observe.ts';
import { once } from './once.ts';
import { ownTables } from './owntables.ts';
import type { Run } from './run.ts';

interface Looked {
  differences: Difference[];
  /** What could not be read, and what is known to fail, one phrase each. */
  problems: string[];
}

/** Compares this machine's kernel with a snapshot by the reading and the comparison of a pass, and changes nothing. */
export async function lookAt(
  { run, sysctl, attachments }: { run: Run; sysctl: ReadSwitch; attachments: () => Attachments },
  snapshot: Snapshot,
): Promise<Looked> {
  const full = desired(snapshot);
  if (full?.tunnel === undefined) {
    const none = 'nothing is desired yet: the node has no VTEP';
    return { differences: [], problems: full?.failures.map(({ message }) => message) ?? [none] };
  }
  const state = await possible(full, full.tunnel, sysctl);
  const records = once(attachments);
  const [{ observed, failures }, saves, tables] = await Promise.all([
    observe(run, state),
    observeChains(run),
    planTables(run, ownTables(records)),
  ]);
  const { plan } = diff({ ...state, ports: portsOf(records().attachments) }, observed);
  const chains = planChains(state.chains, saves);
  const allFailures = [...failures, ...chains.failures, ...tables.flatMap(({ failures: some }) => some)];
  return {
    differences: [
      ...differencesOf(plan, state, observed),
      ...chainDifferences(chains, saves),
      ...tables.flatMap(tableDifferences),
    ],
    problems: [...new Set([...allFailures, ...state.failures].map(({ message }) => message))],
  };
}

/** Returns the input that a pass would give to `iptables-restore`. */
export function chainDifferences({ restores }: Pick<ChainPlan, 'restores'>, saves: Saved[]): Difference[] {
  return restores.flatMap(({ program, input }) => {
    const save = saves.find(({ backend, family }) => `${programOf(backend, family)}-restore` === program);
    const lines = input.split('\n');
    let table = '';
    return lines.flatMap((line): Difference[] => {
      if (line.startsWith('*')) table = line.slice(1);
      const where = `${program.replace('-restore', '')} ${table}`;
      const [verb = '', name = ''] = line.split(' ');
      const seen = (chain: string) => save?.rules.chains.get(table)?.own.get(chain);
      if (verb.startsWith(':') && !lines.includes(`-X ${verb.slice(1)}`))
        return [ofChain(where, verb.slice(1), lines, seen(verb.slice(1)))];
      const object = `${where} ${name}`;
      if (verb === '-X')
        return [{ is: 'Foreign', kind: 'Chain', object, message: 'no network needs this chain' }];
      if (verb === '-D')
        return [{ is: 'Foreign', kind: 'Chain', object, message: `not wanted there: ${rest(line)}` }];
      if (verb === '-I')
        return [
          {
            is: 'Missing',
            kind: 'Chain',
            object,
            message: `no jump where packets reach it: ${line.replace(/^-I \S+ \d+ /, '')}`,
          },
        ];
      return [];
    });
  });
}

const rest = (line: string): string => line.replace(/^\S+ \S+ /, '');

function ofChain(where: string, name: string, lines: string[], seen: string[] | undefined): Difference {
  const object = `${where} ${name}`;
  if (seen === undefined) return { is: 'Missing', kind: 'Chain', object, message: 'there is no such chain' };
  const wanted = lines.filter((line) => line.startsWith(`-A ${name} `)).map(rest);
  const lacks = wanted.find((rule) => !seen.includes(rule));
  const extra = seen.find((rule) => !wanted.includes(rule));
  const texts = [
    ...(lacks === undefined ? [] : [`missing: ${lacks}`]),
    ...(extra === undefined ? [] : [`not wanted: ${extra}`]),
  ];
  const message = texts.length === 0 ? 'its rules stand in another order' : texts.join('; ');
  return { is: 'Wrong', kind: 'Chain', object, message };
}

/** Returns the input that a pass would give to `nft -f`. */
export function tableDifferences({ input }: Pick<TablePlan, 'input'>): Difference[] {
  const lines = input.split('\n');
  const fresh = new Set(lines.flatMap((line) => /^add table (.+)$/.exec(line)?.[1] ?? []));
  return lines.flatMap((line): Difference[] => {
    const found = /^(add|delete) (table|chain|set|element) (\S+ \S+) ?(\S*)(?: \{ (.*) \})?/.exec(line);
    if (found === null) return [];
    const [, verb, kind, table = '', name = '', content = ''] = found;
    if (kind === 'table')
      return [{ is: 'Missing', kind: 'Table', object: table, message: 'there is no such table' }];
    if (fresh.has(table)) return [];
    const object = `${table} ${name}`;
    if (kind === 'chain' && verb === 'add')
      return [{ is: 'Wrong', kind: 'Table', object, message: 'the chain is missing, or its rules differ' }];
    if (kind === 'chain')
      return lines.some((other) => other.startsWith(`add chain ${object}`))
        ? []
        : [{ is: 'Foreign', kind: 'Table', object, message: 'no network needs this chain' }];
    if (kind === 'set') return [{ is: 'Missing', kind: 'Table', object, message: 'there is no such set' }];
    const entry = `${object} ${content}`;
    const isReplaced = lines.includes(`delete element ${object} { ${content} }`);
    if (verb === 'delete')
      return [
        { is: 'Foreign', kind: 'Table', object: entry, message: 'no container’s record has this entry' },
      ];
    return isReplaced
      ? []
      : [{ is: 'Missing', kind: 'Table', object: entry, message: 'a container needs this entry' }];
  });
}
