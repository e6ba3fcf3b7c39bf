import { isOurSet } from '../dataplane/change.ts';
import type { IPSet } from '../dataplane/state.ts';

/** Parses `ipset save` and returns our sets. */
export function parseSets(text: string): Map<string, IPSet> {
  const sets = new Map<string, IPSet>();
  for (const line of text.split('\n')) {
    const [verb, name, entry, , family] = line.split(' ', 5);
    if (name === undefined || !isOurSet(name)) continue;
    if (verb === 'create') sets.set(name, { family: family === 'inet6' ? 6 : 4, entries: new Set() });
    else if (verb === 'add' && entry !== undefined) sets.get(name)?.entries.add(entry);
  }
  return sets;
}
