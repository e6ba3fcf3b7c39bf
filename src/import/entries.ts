import { Fields } from './field.ts';
import { quoted, type Findings } from './finding.ts';
import { nearest } from './keys.ts';
import { at, parseText, type Entry, type Tree } from './tree.ts';

/** Reads maps with known keys, and records findings about them. */
export class Maps {
  readonly findings: Findings;
  readonly fields: Fields;

  constructor(findings: Findings) {
    this.findings = findings;
    this.fields = new Fields(findings);
  }

  /** Returns the entries by key; a repeated key is a finding. */
  single(entries: readonly Entry[], keys: readonly string[], of = ''): Map<string, Entry> {
    const found = new Map<string, Entry>();
    for (const entry of entries) {
      if (!keys.includes(entry.key)) continue;
      const before = found.get(entry.key);
      if (before === undefined) found.set(entry.key, entry);
      else if (plain(before.value) === plain(entry.value))
        this.findings.add(
          'note',
          entry.line,
          `${of}${entry.key} stands here as in line ${before.line}, with the same value`,
        );
      else
        this.findings.refuse(
          entry.line,
          `${of}${entry.key} is set twice, here and in line ${before.line}, to different values`,
          'take the one out that is not meant',
        );
    }
    return found;
  }

  tellOthers(entries: readonly Entry[], keys: readonly string[], of: string): void {
    for (const { key, line } of entries) {
      if (keys.includes(key)) continue;
      const suggestion = nearest(key, keys);
      if (suggestion !== undefined)
        this.findings.refuse(
          line,
          `${of}${quoted(key)} is no key of DC/OS, and nearly ${suggestion}`,
          `write ${suggestion}, or take it out`,
        );
      else
        this.findings.add(
          'warning',
          line,
          `${of}${quoted(key)} is not known, and is passed over`,
          `known are ${keys.join(', ')}`,
        );
    }
  }

  /** Parses a value that is itself JSON or YAML text. */
  unpacked({ value, key }: Entry): Tree {
    if (value.is !== 'text' || !/[:{]/.test(value.text)) return value;
    const { roots, faults } = parseText(value.text);
    const [root] = roots;
    if (faults.length === 0 && root !== undefined && roots.length === 1) return at(value.line, root);
    this.findings.refuse(
      value.line,
      `${key} is text that is no JSON: ${faults[0]?.message ?? 'there is more than one value'}`,
      'check it with `python3 -m json.tool`',
    );
    return { line: value.line, is: 'map', entries: [] };
  }
}

export const isSet = (entry: Entry | undefined): boolean =>
  entry !== undefined && entry.value.is !== 'nothing';

/** The value without line numbers. */
const plain = (tree: Tree): string =>
  JSON.stringify(tree, (key, value: unknown) => (key === 'line' ? undefined : value));
