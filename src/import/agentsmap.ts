import { objectNamePattern } from '../net/name.ts';
import { formatAddress, isAddress, parseAddress } from '../net/address.ts';
import { quoted, type Findings } from './finding.ts';
import type { OldAgent } from './stateagent.ts';

const form = 'write ADDRESS,NODE, as 172.17.0.2,worker-1';
/** Matches a valid name of a Node. */

/** Reads lines `ADDRESS,NODE` as Nodes by agent's address. Empty lines, comments after `#` and one heading are skipped. */
export function readMap(text: string, agents: readonly OldAgent[], findings: Findings): Map<string, string> {
  const known = new Set(agents.map(({ address }) => address));
  const nodes = new Map<string, string>();
  const taken = new Set<string>();
  const lines = text.split(/\r?\n/);
  const heading = lines.findIndex((line) => fieldsOf(line).some((one) => one !== ''));
  for (const [at, line] of lines.entries()) {
    const [from = '', node = '', ...more] = fieldsOf(line);
    if (from === '' && node === '') continue;
    const address = isAddress(from) ? formatAddress(parseAddress(from)) : undefined;
    const refuse = (message: string, next: string) => {
      findings.refuse(at + 1, message, next);
    };
    if (address === undefined) {
      // the heading
      if (at !== heading || /[0-9]/.test(from)) refuse(`${quoted(from)} is no IP address`, form);
    } else if (!objectNamePattern.test(node) || more.some((one) => one !== ''))
      refuse(`${quoted(line)} does not name one Node`, form);
    else if (!known.has(address))
      refuse(`${address} is no agent of the state`, 'correct it, or take the line out');
    else if (nodes.has(address)) refuse(`${address} is there twice`, 'take one of the lines out');
    else if (taken.has(node)) refuse(`Node ${node} is there twice`, 'one Node takes the place of one agent');
    else {
      nodes.set(address, node);
      taken.add(node);
    }
  }
  return nodes;
}

/** Removes quotation marks, which a spreadsheet program may put around each value. */
const fieldsOf = (line: string): string[] =>
  line
    .replace(/#.*/, '')
    .split(/[,;\t]/)
    .map((one) => one.trim().replace(/^"(.*)"$/, '$1'));
