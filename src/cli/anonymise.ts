import { createHmac, randomBytes } from 'node:crypto';

/** Namespaces that every cluster has. They reveal nothing, and stay. */
const everywhere: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease']);

type Kind = 'pod' | 'ns' | 'container';

/** Matches a name of Kubernetes or Docker in a text. */
const word = /[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?/g;

/** Matches the word before a name in our logs and messages: `pod=shop/web-0`, `"namespace":"shop"`, `pod shop/web-0`. */
const pairs =
  /\bpods?\\?["']?(?:\s*[=:]\s*|\s+)\\?["']?([a-z0-9][-a-z0-9]{0,62})\/([a-z0-9][-a-z0-9.]{0,252})/g;
const named = /\b(pod|namespace)(?:=\\?["']?|\\?["']\s*:\s*\\?["'])([a-z0-9][-a-z0-9.]{0,252})(?![/\w.-])/g;
/** Matches names as API servers write them: `get pods/web-0`, `namespaces "shop" not found`. */
const objects = /\b(pod|namespace)s?(?:\/|\s+\\?["'])([a-z0-9][-a-z0-9.]{0,252})(?![/\w.-])/g;
/** Words that follow `pods/` without being names. */
const subresources: ReadonlySet<string> = new Set([
  ...['attach', 'binding', 'ephemeralcontainers', 'eviction', 'exec', 'log', 'portforward', 'proxy'],
  ...['resize', 'status', 'finalize'],
]);

/**
 * Replaces names of pods, namespaces and containers by hashes. A name has the same hash everywhere in one bundle. Each
 * bundle has a random key that is not stored, so that names cannot be found by hashing guesses.
 */
export class Pseudonyms {
  readonly #key = randomBytes(32);
  readonly #known = new Map<string, string>();
  readonly #kept: ReadonlySet<string>;

  /** @param kept names that stay: the namespace of overlaynet, and its pods */
  constructor(kept: Iterable<string>) {
    this.#kept = new Set([...everywhere, ...kept]);
  }

  add(kind: Kind, name: string | undefined): void {
    if (name === undefined || name === '' || this.#kept.has(name) || this.#known.has(name)) return;
    const hash = createHmac('sha256', this.#key).update(name).digest('hex').slice(0, 10);
    this.#known.set(name, `${kind}-${hash}`);
  }

  /** Learns names from a log or message, which may also name pods that no longer exist. */
  learn(text: string): void {
    for (const [, namespace, pod] of text.matchAll(pairs)) {
      this.add('ns', namespace);
      this.add('pod', pod);
    }
    for (const pattern of [named, objects])
      for (const [, kind, name] of text.matchAll(pattern))
        if (!subresources.has(name ?? '')) this.add(kind === 'pod' ? 'pod' : 'ns', name);
  }

  /** Replaces each name in the text by its hash. */
  text(text: string): string {
    return text.replace(word, (found) => this.#word(found));
  }

  /** Replaces each name in the value's texts by its hash. Names of fields stay. */
  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map((one) => this.value(one));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, this.value(one)]));
  }

  #word(found: string): string {
    const known = this.#known.get(found);
    if (known !== undefined) return known;
    // `web-0.shop.svc`, `k8s_web_web-0_shop_…`
    for (const mark of ['.', '_'])
      if (found.includes(mark))
        return found
          .split(mark)
          .map((part) => this.#word(part))
          .join(mark);
    return found;
  }
}
