import type { Page, Rows } from '../rows/row.ts';
import { version, type Access } from './access.ts';
import { columns, nameOf, type Listed } from './columns.ts';
import { CommandFailure } from './failure.ts';
import type { Output } from './output.ts';
import { sorted, Table, type Column } from './table.ts';
import { harmless, harmlessJSON } from './text.ts';
import { yamlPrinter } from './yaml.ts';
import { messageOf } from '../error.ts';

export const forms = ['wide', 'json', 'yaml', 'name'] as const;

export interface ListOptions {
  output?: (typeof forms)[number];
  watch?: boolean;
  sortBy?: string;
  headers: boolean;
  network?: string;
  node?: string;
  namespace?: string;
  search?: string;
}

const watchMs = 2_000;

/** `networks`, `agents`, `blocks`, `containers`. @returns the exit status */
export async function list(access: Access, kind: Listed, options: ListOptions, out: Output): Promise<number> {
  const { network, node, namespace, search, watch = false } = options;
  const query = { network, node, namespace, search };
  if (watch && options.sortBy !== undefined)
    throw new CommandFailure('--watch and --sort-by do not go together', 'leave one of them out');
  const yaml = options.output === 'yaml' ? await yamlPrinter() : harmlessJSON;
  const printer = new Printer(kind, options, out, yaml);
  printer.check();
  if (watch) return follow(access, kind, query, printer, out);
  let missing = false;
  if (printer.isWhole) {
    const page = await access.all(kind, query);
    printer.whole(page.items);
    missing = warn(page, out);
  } else {
    // prints rows as they arrive, so that 50,000 rows need no long wait
    for await (const page of access.pages(kind, query)) {
      printer.more(page.items);
      if (page.continue === undefined) missing = warn(page, out);
    }
  }
  if (printer.isEmpty) await checkNames(access, options);
  printer.end(missing);
  skew(access, out);
  return missing ? 1 : 0;
}

/**
 * Checks that the network and the node of the flags exist. Without rows a name typed wrong would look like an answer.
 * @throws CommandFailure
 */
async function checkNames(access: Access, { network, node }: ListOptions): Promise<void> {
  if (network !== undefined && (await access.all('networks', { network })).items.length === 0)
    throw new CommandFailure(
      `there is no network ${harmless(network)}`,
      'kubectl overlay networks lists all',
    );
  if (node !== undefined && (await access.all('agents', { node })).items.length === 0)
    throw new CommandFailure(`there is no node ${harmless(node)}`, 'kubectl overlay agents lists all');
}

/** Prints rows again when they change, until the user ends it. */
async function follow<K extends Listed>(
  access: Access,
  kind: K,
  query: Record<string, string | undefined>,
  printer: Printer<K>,
  out: Output,
): Promise<number> {
  out.untilEnded();
  let known = new Map<string, string>();
  let failed = '';
  for (let first = true; !out.ended.aborted; first = false) {
    try {
      const { items } = await access.all(kind, query);
      const now = new Map(items.map((item) => [printer.identity(item), JSON.stringify(item)]));
      printer.more(
        items.filter((item) => known.get(printer.identity(item)) !== now.get(printer.identity(item))),
      );
      known = now;
      failed = '';
    } catch (error) {
      if (first) throw error;
      const message = messageOf(error);
      if (message !== failed) out.warn(`${message}; trying again`);
      failed = message;
    }
    await out.pause(watchMs);
  }
  return 0;
}

/** Prints rows of one kind in one form. */
class Printer<K extends Listed> {
  readonly #kind: K;
  readonly #options: ListOptions;
  readonly #out: Output;
  readonly #table: Table;
  readonly #yaml: (value: unknown) => string;
  #printed = 0;

  constructor(kind: K, options: ListOptions, out: Output, yaml: (value: unknown) => string) {
    this.#yaml = yaml;
    this.#kind = kind;
    this.#options = options;
    this.#out = out;
    this.#table = new Table({ colours: out.colours });
  }

  get #columns(): readonly Column<Rows[K]>[] {
    const all = columns[this.#kind] as readonly Column<Rows[K]>[];
    return all.filter(({ wide = false }) => !wide || this.#options.output === 'wide');
  }

  /** Whether all rows are needed before the first is printed. */
  get isWhole(): boolean {
    const { output, sortBy } = this.#options;
    return sortBy !== undefined || output === 'json' || output === 'yaml';
  }

  /**
   * Checks the flags before any request is sent.
   * @throws CommandFailure if a flag is wrong
   */
  check(): void {
    this.#sorted([]);
  }

  get isEmpty(): boolean {
    return this.#printed === 0;
  }

  identity(row: Rows[K]): string {
    const {
      id = '',
      interface: link = '',
      network = '',
    } = row as { id?: string; interface?: string; network?: string };
    return [nameOf[this.#kind](row), network, id, link].join('\n');
  }

  whole(rows: readonly Rows[K][]): void {
    const ordered = this.#sorted(rows);
    const { output } = this.#options;
    if (output !== 'json' && output !== 'yaml') {
      this.more(ordered);
      return;
    }
    const all = { items: ordered };
    this.#out.line(output === 'json' ? harmlessJSON(all) : this.#yaml(all));
    this.#printed += rows.length;
  }

  more(rows: readonly Rows[K][]): void {
    const { output, headers } = this.#options;
    if (output === 'name') for (const row of rows) this.#out.line(harmless(nameOf[this.#kind](row)));
    else if (output === 'json') for (const row of rows) this.#out.line(harmlessJSON(row));
    else if (output === 'yaml') for (const row of rows) this.#out.line(`---\n${this.#yaml(row)}`);
    else if (rows.length > 0) {
      const now = Date.now();
      const cells = rows.map((row) => this.#columns.map((column) => column.of(row, now)));
      const head = headers && this.#printed === 0 ? [this.#columns.map(({ name }) => name)] : [];
      for (const line of this.#table.lines([...head, ...cells])) this.#out.line(line);
    }
    this.#printed += rows.length;
  }

  /** @param missing nodes did not answer, and may have some */
  end(missing: boolean): void {
    const { output } = this.#options;
    if (this.#printed === 0 && (output === undefined || output === 'wide'))
      this.#out.note(`No ${this.#kind} found${missing ? ' on the nodes that answered' : ''}.`);
  }

  #sorted(rows: readonly Rows[K][]): Rows[K][] {
    const { sortBy } = this.#options;
    if (sortBy === undefined) return [...rows];
    try {
      return sorted(rows, columns[this.#kind] as readonly Column<Rows[K]>[], sortBy, Date.now());
    } catch (error) {
      throw new CommandFailure(messageOf(error), 'name one of these columns', error);
    }
  }
}

/** Warns of nodes that did not answer. */
export function warn({ unanswered = [] }: Pick<Page<unknown>, 'unanswered'>, out: Output): boolean {
  for (const { node, reason } of unanswered.slice(0, 10))
    out.warn(`the containers of ${node} are not all here: ${reason}: kubectl overlay why node ${node}`);
  if (unanswered.length > 10) out.warn(`and those of ${unanswered.length - 10} more nodes`);
  return unanswered.length > 0;
}

/** Warns if the command and the operator are of different releases. */
export function skew({ operatorVersion }: Pick<Access, 'operatorVersion'>, out: Output): void {
  const minor = (text: string) => text.split('.').slice(0, 2).join('.');
  if (operatorVersion === undefined || minor(operatorVersion) === minor(version)) return;
  out.warn(
    `the operator is of version ${operatorVersion} and this command of ${version}: take the kubectl-overlay of its release`,
  );
}
