import { quoted, type Findings } from './finding.ts';
import { fileKeys, networkKeys, overlayKeys, topKeys } from './keys.ts';
import { mend } from './mend.ts';
import { parseText, type Entry, type Fault, type Tree } from './tree.ts';

/** Maximum length of a configuration, in characters. */
const mostBytes = 4_000_000;

/**
 * Reads the top-level entries of a configuration file. Invalid YAML outside of the keys that are read is skipped, with a
 * note. Inside of them it is read if only one meaning is possible, and refused otherwise.
 */
export function readEntries(source: string, findings: Findings): Entry[] | undefined {
  if (source.length > mostBytes) {
    findings.refuse(
      undefined,
      `the file has ${source.length} characters, at most ${mostBytes} are read`,
      'give the config.yaml alone',
    );
    return undefined;
  }
  const text = mend(source, findings);
  if (text.trim() === '') return [];
  const whole = tidied(text, findings);
  if (whole === undefined) return undefined;
  const entries: Entry[] = [];
  for (const root of whole) {
    if (root.is === 'nothing') continue;
    if (root.is !== 'map') {
      findings.refuse(
        root.line,
        `the file is no configuration: a line "KEY: VALUE" must come here, not ${root.is === 'text' ? quoted(root.text) : 'a list'}`,
        'give the config.yaml that DC/OS was installed with',
      );
      return undefined;
    }
    entries.push(...root.entries);
  }
  if (entries.length > 0 && !entries.some(({ key }) => /^[\w.-]+$/.test(key))) {
    const [first] = entries;
    findings.refuse(
      first?.line,
      `the file is no configuration: ${quoted(first?.key ?? '')} is not a key`,
      'give the config.yaml that DC/OS was installed with',
    );
    return undefined;
  }
  return below(entries, findings);
}

/** Finds the map with the keys below another key, as in the values of a template or an installer. */
function below(entries: readonly Entry[], findings: Findings): Entry[] | undefined {
  if (entries.some(({ key }) => isOurs(key))) return [...entries];
  const found = entries.flatMap(({ key, value }) => mapsIn(value, key, 0));
  const [first, second] = found;
  if (first === undefined) return [...entries];
  if (second !== undefined) {
    findings.refuse(
      second.line,
      `keys of the overlay stand below ${quoted(second.path)} and below ${quoted(first.path)} in line ${first.line}`,
      'give a file with one of them',
    );
    return undefined;
  }
  findings.add(
    'note',
    first.line,
    `the keys of the overlay stand below ${quoted(first.path)}, and are read there`,
  );
  return first.entries;
}

const isOurs = (key: string): boolean =>
  topKeys.some((one) => one === key) || fileKeys.some((one) => one === key);

function mapsIn(tree: Tree, path: string, depth: number): { path: string; line: number; entries: Entry[] }[] {
  if (depth > 6) return [];
  if (tree.is === 'list') return tree.items.flatMap((item) => mapsIn(item, path, depth + 1));
  if (tree.is !== 'map') return [];
  const own = tree.entries.some(({ key }) => /^dcos_overlay_/.test(key) && isOurs(key));
  if (own) return [{ path, line: tree.line, entries: tree.entries }];
  return tree.entries.flatMap(({ key, value }) => mapsIn(value, `${path}.${key}`, depth + 1));
}

/** Parses the documents: as they are, otherwise without the lines of other keys, otherwise repaired. */
function tidied(text: string, findings: Findings): Tree[] | undefined {
  const plain = parse(text);
  if (plain.faults.length === 0 && !isFlat(text)) return plain.roots;
  const kept = ours(text);
  const faultsOutside = plain.faults.filter(({ line }) => !kept.lines.has(line));
  const only = parse(kept.text);
  const [misplaced] = kept.misplaced;
  if (misplaced !== undefined) {
    findings.refuse(
      misplaced,
      `the file is not valid YAML, and this line has a key of the overlay at another indentation than the first: ${quoted(lineOf(text, misplaced))}`,
      'give a file with one configuration',
    );
    return undefined;
  }
  if (kept.lines.size > 0 && only.faults.length === 0 && !isFlat(kept.text)) {
    tellPassedOver(plain.faults, findings);
    return only.roots;
  }
  const steps: string[] = [];
  const mended = unflatten(spaced(kept.text, steps), steps);
  const again = parse(mended);
  if (kept.lines.size > 0 && again.faults.length === 0) {
    tellPassedOver(faultsOutside, findings);
    for (const step of steps) {
      const [line = '', message = ''] = step.split('\t');
      findings.add('note', Number(line), message);
    }
    return again.roots;
  }
  const last = kept.lines.size > 0 ? { faults: again.faults, text: mended } : { faults: plain.faults, text };
  for (const { line: where, message } of last.faults.slice(0, 10)) {
    const line = /closing/i.test(message) ? opening(last.text, where) : where;
    findings.refuse(
      line,
      `this is not valid YAML: ${reason(message)}: ${quoted(lineOf(text, line))}`,
      remedy(message, lineOf(text, line)),
    );
  }
  return undefined;
}

function tellPassedOver(faults: readonly Fault[], findings: Findings): void {
  const [first] = faults;
  if (first === undefined) return;
  findings.add(
    'note',
    first.line,
    `this is not valid YAML (${reason(first.message)}), is in nothing that import reads, and is passed over`,
  );
}

/** Tries tabs as two, four and eight spaces. If all readable results agree, that is the meaning. */
function parse(text: string): { roots: Tree[]; faults: Fault[] } {
  if (!/^[ ]*\t/m.test(text)) return parseText(text);
  const widths = [2, 4, 8].map((width) =>
    parseText(text.replace(/^[ \t]+/gm, (indent) => indent.replaceAll('\t', ' '.repeat(width)))),
  );
  const read = widths.filter(({ faults }) => faults.length === 0);
  const meanings = new Set(read.map(({ roots }) => JSON.stringify(roots)));
  const [first] = read;
  if (first !== undefined && meanings.size === 1) return first;
  const line = text.slice(0, text.search(/^[ ]*\t/m)).split('\n').length;
  return {
    roots: [],
    faults: [
      { line, message: 'the line is indented by a tab, and how deep it is can be read in more than one way' },
    ],
  };
}

const anyKey = new RegExp(`^(\\s*)(["']?)(${[...topKeys, ...networkKeys, ...fileKeys].join('|')})\\2\\s*:`);

/** Empties the lines that belong to other keys; lines keep their numbers. */
function ours(text: string): { text: string; lines: Set<number>; misplaced: number[] } {
  const lines = text.split('\n');
  const indents = lines.flatMap((line) => {
    const match = anyKey.exec(line);
    return match === null ? [] : [width(match[1] ?? '')];
  });
  const top = Math.min(...indents);
  const kept = new Set<number>();
  let within = false;
  let listAtTop = false;
  const shown = lines.map((line, at) => {
    const indent = width(/^\s*/.exec(line)?.[0] ?? '');
    const isBlank = /^\s*(#.*)?$/.test(line);
    if (!isBlank && indent <= top) {
      const match = anyKey.exec(line);
      const isItem = /^\s*-(\s|$)/.test(line) || (listAtTop && itemKey.test(line));
      within = match !== null || (within && isItem);
      listAtTop = match === null ? listAtTop && within : match[3] === 'overlays';
    }
    if (!within || isBlank) return '';
    kept.add(at + 1);
    return line;
  });
  const misplaced = lines.flatMap((line, at) => (topKey.test(line) && !kept.has(at + 1) ? [at + 1] : []));
  return { text: shown.join('\n'), lines: kept, misplaced };
}

const topKey = new RegExp(
  `^\\s*["']?(?:${topKeys.filter((key) => key.startsWith('dcos_overlay')).join('|')})["']?\\s*:`,
);

const width = (indent: string): number => indent.replaceAll('\t', '  ').length;

const itemKey = new RegExp(`^\\s*(?:${overlayKeys.join('|')})\\s*:`);

/** Whether an overlay's key is at a place where it can only belong to the list before it: the indentation was lost. */
const isFlat = (text: string): boolean =>
  new RegExp(`^(?:${overlayKeys.filter((key) => key !== 'enabled').join('|')})\\s*:`, 'm').test(text);

/** `prefix:24` → `prefix: 24`, `dcos_overlay_network:# comment` → `dcos_overlay_network: # comment` */
function spaced(text: string, steps: string[]): string {
  const keys = [...topKeys, ...networkKeys, ...overlayKeys].toSorted((a, b) => b.length - a.length).join('|');
  const pattern = new RegExp(`^(\\s*(?:-\\s*)?(?:${keys})):(?=[^\\s])`);
  return text
    .split('\n')
    .map((line, at) => {
      const next = line.replace(pattern, '$1: ').replace(/^(\s*)-(?=[a-z])/, '$1- ');
      if (next !== line) steps.push(`${at + 1}\ta space is missing, and was added: ${quoted(next)}`);
      return next;
    })
    .join('\n');
}

/** Restores lost indentation: puts the keys of each overlay under its `- `. */
function unflatten(text: string, steps: string[]): string {
  let bullet: number | undefined;
  let reported = false;
  return text
    .split('\n')
    .map((line, at) => {
      const item = /^(\s*)-(\s+)/.exec(line);
      if (item !== null) {
        bullet = (item[1] ?? '').length;
        const rest = line.slice(item[0].length);
        return `${' '.repeat(bullet)}- ${rest}`;
      }
      if (bullet === undefined || line.trim() === '') return line;
      if (!itemKey.test(line)) {
        if (anyKey.test(line)) bullet = undefined;
        return line;
      }
      const next = `${' '.repeat(bullet + 2)}${line.trim()}`;
      if (next !== line && !reported) {
        reported = true;
        steps.push(
          `${at + 1}\tthe indentation is lost or uneven; each key is read as one of the "-" before it`,
        );
      }
      return next;
    })
    .join('\n');
}

/** Returns the line with a quotation mark that is never closed: YAML reports only the end of the text. */
function opening(text: string, line: number): number {
  const at = text.split('\n').findIndex((one) => ((one.match(/"/g) ?? []).length & 1) === 1);
  return at < 0 ? line : at + 1;
}

const lineOf = (text: string, line: number): string => text.split('\n')[line - 1] ?? '';

/** The parser's message without its excerpt of the source. */
const reason = (message: string): string => (message.split('\n')[0] ?? message).replace(/[:.]$/, '');

function remedy(message: string, line: string): string {
  if (/tab/i.test(message)) return 'indent with spaces: `expand -t 2 FILE > NEW`';
  if (/\{\{|\$\{/.test(line)) return 'this is a placeholder of a template: put its value in';
  if (/quote|scalar|closing/i.test(message))
    return 'close the quotation mark or bracket, or put the value in quotation marks';
  if (/indent|block|same column|map|sequence/i.test(message))
    return 'give the keys of one map the same indentation, deeper than the key above';
  return 'correct the line, or take the key out of the file';
}
