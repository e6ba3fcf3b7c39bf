import { quoted, type Findings } from './finding.ts';

/** Reads the fields of one object of a state document. A field with another type than DC/OS gives it is refused by its path. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #findings: Findings;

  /** @param path `agents[2].overlays[0]`; empty: the whole document */
  constructor(value: unknown, path: string, findings: Findings) {
    this.#path = path;
    this.#findings = findings;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isObject && !isAbsent(value)) this.#refuse(path, value, 'an object');
    this.#values = isObject ? (value as Record<string, unknown>) : {};
  }

  has(key: string): boolean {
    return !isAbsent(this.#values[key]);
  }

  /** Undefined if it is absent or empty. */
  text(key: string): string | undefined {
    const value = this.#values[key];
    if (typeof value === 'string') return value === '' ? undefined : value;
    if (!isAbsent(value)) this.#refuse(this.#at(key), value, 'a string');
    return undefined;
  }

  integer(key: string): number | undefined {
    const value = this.#values[key];
    if (Number.isSafeInteger(value)) return value as number;
    if (!isAbsent(value)) this.#refuse(this.#at(key), value, 'an integer');
    return undefined;
  }

  object(key: string): Fields {
    return new Fields(this.#values[key], this.#at(key), this.#findings);
  }

  /** Empty if it is absent. */
  objects(key: string): Fields[] {
    const value = this.#values[key];
    if (Array.isArray(value))
      return value.map((one: unknown, at) => new Fields(one, `${this.#at(key)}[${at}]`, this.#findings));
    if (!isAbsent(value)) this.#refuse(this.#at(key), value, 'a list');
    return [];
  }

  #at(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`;
  }

  #refuse(path: string, value: unknown, type: string): void {
    this.#findings.refuse(
      undefined,
      `${path === '' ? 'the document' : path} is ${shown(value)}, and must be ${type}`,
      'give what GET /overlay-master/state of the old master answers',
    );
  }
}

/** Shows a value in a message. Lists and objects are only named, because they may be deep and large. */
const shown = (value: unknown): string =>
  typeof value !== 'object' ? quoted(JSON.stringify(value)) : Array.isArray(value) ? 'a list' : 'an object';

const isAbsent = (value: unknown): value is null | undefined => value === undefined || value === null;
