import { chainPrefix } from '../dataplane/ownership.ts';
import type { ObservedChains, ObservedTable, Table } from '../dataplane/state.ts';

/** What a backend's `iptables-save` printed. */
export interface SavedRules {
  chains: ObservedChains;
  /** Tables of which it did not print everything → why, in words. */
  unread: Map<string, string>;
  /** kubelet's hint that this is the node's backend. */
  canary: boolean;
}

const canaries = [':KUBE-IPTABLES-HINT ', ':KUBE-KUBELET-CANARY '];

/** What `iptables -S` lists of a table, as `iptables-save` prints it. */
export function asSaved(table: Table, listed: string): string {
  const lines = listed.replace(/^-N (\S+)$/gm, ':$1 - [0:0]').replace(/^-P (\S+) (\S+)$/gm, ':$1 $2 [0:0]');
  return `*${table}\n${lines}COMMIT\n`;
}

/**
 * From `iptables-save`. A table counts as read once its COMMIT came and every line was understood: the
 * programs end with status 0 even where they leave out a table.
 */
export function parseChains(text: string): SavedRules {
  const chains: ObservedChains = new Map();
  const unread: SavedRules['unread'] = new Map();
  let canary = false;
  let name: string | undefined;
  let table: ObservedTable = { own: new Map(), hooks: new Map() };
  const end = () => {
    if (name !== undefined) unread.set(name, 'its COMMIT is missing');
    name = undefined;
  };
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      end();
      name = line.slice(1);
      table = { own: new Map(), hooks: new Map() };
    } else if (line === 'COMMIT') {
      if (name !== undefined) chains.set(name, table);
      name = undefined;
    } else if (line.startsWith(':')) {
      declare(line, table);
      if (name === 'mangle' && canaries.some((start) => line.startsWith(start))) canary = true;
    } else if (line.startsWith('-A ')) {
      const space = line.indexOf(' ', 3);
      const chain = line.slice(3, space);
      (table.own.get(chain) ?? table.hooks.get(chain))?.push(line.slice(space + 1));
    } else if (line !== '' && !line.startsWith('#')) {
      unread.set(name ?? '', `it has a line that is no rule: ${line}`);
    }
  }
  end();
  return { chains, unread, canary };
}

function declare(line: string, table: ObservedTable): void {
  const chain = line.slice(1, line.indexOf(' '));
  if (chain.startsWith(chainPrefix)) table.own.set(chain, []);
  // a built-in chain has a policy
  else if (!line.startsWith(`:${chain} - `)) table.hooks.set(chain, []);
}
