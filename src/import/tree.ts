import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document,
  type Node,
} from 'yaml';

/** A value as it is written. Every scalar is text, so that 24 or 70:00:00:00:00:00 is not converted. */
export type Tree = { line: number } & (
  | { is: 'text'; text: string; quoted: boolean }
  | { is: 'nothing' }
  | { is: 'list'; items: Tree[] }
  | { is: 'map'; entries: Entry[] }
);

export interface Entry {
  key: string;
  line: number;
  value: Tree;
}

/** An error of the YAML parser. */
export interface Fault {
  line: number;
  message: string;
}

/** Maximum depth: enough for any configuration, and a bound for aliases that contain themselves. */
const deepest = 24;
/** Maximum number of values in one document: aliases can multiply them. */
const most = 200_000;
/** Maximum number of aliases: resolving one walks through the whole document. */
const mostAliases = 1_000;

/** Parses the documents of a text, or returns what is wrong with it. */
export function parseText(text: string): { roots: Tree[]; faults: Fault[] } {
  const lines = new LineCounter();
  let documents: Document.Parsed[];
  try {
    documents = parseAllDocuments(text, {
      schema: 'failsafe',
      lineCounter: lines,
      uniqueKeys: false,
      logLevel: 'silent',
      prettyErrors: false,
    }) as Document.Parsed[];
  } catch (error) {
    // the parser is recursive: deep nesting exhausts the stack
    if (!(error instanceof RangeError)) throw error;
    return { roots: [], faults: [{ line: deepestLine(text), message: tooDeep }] };
  }
  const roots: Tree[] = [];
  const faults: Fault[] = [];
  for (const document of documents) {
    for (const { pos, message } of document.errors)
      // the parser is recursive, and reports a stack overflow as an error of the text
      faults.push({
        line: lines.linePos(pos[0]).line,
        message: /call stack/.test(message) ? tooDeep : message,
      });
    const reader = new Reader(document, lines);
    try {
      if (document.contents !== null) roots.push(reader.tree(document.contents, 0));
    } catch (error) {
      if (!(error instanceof TooMuch)) throw error;
      faults.push({ line: error.line, message: error.message });
    }
  }
  return { roots, faults };
}

const tooDeep = 'the value is nested too deep';

/** Returns the line of the first bracket that is deeper than any configuration. */
function deepestLine(text: string): number {
  let depth = 0;
  let line = 1;
  for (const one of text) {
    if (one === '\n') line++;
    if (one === '[' || one === '{') depth++;
    if (one === ']' || one === '}') depth--;
    if (depth > deepest) return line;
  }
  return 1;
}

class TooMuch extends Error {
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

class Reader {
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;
  #count = 0;
  #aliases = 0;

  constructor(document: Document.Parsed, lines: LineCounter) {
    this.#document = document;
    this.#lines = lines;
  }

  tree(node: Node | null, near: number, depth = 0): Tree {
    const line = node?.range == null ? near : this.#lines.linePos(node.range[0]).line;
    if (depth > deepest) throw new TooMuch(line, 'the value is nested too deep, or leads into itself');
    if (++this.#count > most) throw new TooMuch(line, 'there are too many values');
    if (node === null) return { line, is: 'nothing' };
    if (isAlias(node)) {
      if (++this.#aliases > mostAliases)
        throw new TooMuch(line, `there are more than ${mostAliases} aliases`);
      const target = node.resolve(this.#document);
      if (target === undefined) throw new TooMuch(line, `*${node.source} refers to nothing`);
      // an alias has the line of the alias, not of its target
      return this.tree(target, line, depth + 1);
    }
    if (isSeq(node)) {
      const items = node.items.map((item) => this.tree(item as Node | null, line, depth + 1));
      return { line, is: 'list', items };
    }
    if (isMap(node)) return { line, is: 'map', entries: this.#entries(node, line, depth) };
    if (!isScalar(node)) return { line, is: 'nothing' };
    // in the failsafe schema every scalar is text
    const text = typeof node.value === 'string' ? node.value : '';
    const plain = node.type === undefined || node.type === 'PLAIN';
    if (plain && /^(~|null|Null|NULL|)$/.test(text)) return { line, is: 'nothing' };
    return { line, is: 'text', text, quoted: !plain };
  }

  #entries({ items }: { items: unknown[] }, near: number, depth: number): Entry[] {
    const entries: Entry[] = [];
    const merged: Entry[] = [];
    for (const pair of items as { key: Node | null; value: Node | null }[]) {
      const key = this.tree(pair.key, near, depth + 1);
      const value = this.tree(pair.value, key.line, depth + 1);
      if (key.is !== 'text') continue;
      if (key.text === '<<') merged.push(...mergedIn(value));
      else entries.push({ key: key.text, line: key.line, value });
    }
    return [...entries, ...merged.filter(({ key }) => !entries.some((entry) => entry.key === key))];
  }
}

function mergedIn(value: Tree): Entry[] {
  if (value.is === 'map') return value.entries;
  return value.is === 'list' ? value.items.flatMap(mergedIn) : [];
}

/** The tree with shifted line numbers, for text inside of a value. */
export function at(line: number, tree: Tree): Tree {
  if (tree.is === 'list') return { ...tree, line, items: tree.items.map((item) => at(line, item)) };
  if (tree.is === 'map')
    return {
      ...tree,
      line,
      entries: tree.entries.map(({ key, value }) => ({ key, line, value: at(line, value) })),
    };
  return { ...tree, line };
}
