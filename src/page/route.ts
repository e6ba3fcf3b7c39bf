import { signal } from '@preact/signals';

/** The view that the page shows. Its text follows the `#` of the URL, so that links can name it. */
export type Route =
  | { view: 'overview' }
  | { view: 'network'; name: string }
  | { view: 'agents'; search?: string }
  | { view: 'agent'; name: string }
  | { view: 'containers'; search?: string; network?: string; node?: string }
  | { view: 'path'; from?: string; to?: string; protocol?: string; port?: string };

type Parameter = 'search' | 'network' | 'node' | 'from' | 'to' | 'protocol' | 'port';

/** Parses a route; other text means the overview. */
export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split('?');
  const [view, rest] = [path.split('/')[0], path.split('/').slice(1).join('/')];
  const name = decoded(rest);
  const given = new URLSearchParams(query);
  const only = (...names: Parameter[]) =>
    Object.fromEntries(names.flatMap((one) => (given.get(one) ? [[one, given.get(one) ?? '']] : [])));
  if (view === 'networks' && name !== '') return { view: 'network', name };
  if (view === 'agents' && name !== '') return { view: 'agent', name };
  if (view === 'agents') return { view, ...only('search') };
  if (view === 'containers') return { view, ...only('search', 'network', 'node') };
  if (view === 'path') return { view, ...only('from', 'to', 'protocol', 'port') };
  return { view: 'overview' };
}

export function href(route: Route): string {
  switch (route.view) {
    case 'overview':
      return '#/';
    case 'network':
      return `#/networks/${encodeURIComponent(route.name)}`;
    case 'agent':
      return `#/agents/${encodeURIComponent(route.name)}`;
    case 'agents':
      return `#/agents${queryOf({ search: route.search })}`;
    case 'containers':
      return `#/containers${queryOf({ search: route.search, network: route.network, node: route.node })}`;
    case 'path':
      return `#/path${queryOf({ from: route.from, to: route.to, protocol: route.protocol, port: route.port })}`;
  }
}

function queryOf(values: Record<string, string | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value) query.set(name, value);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = signal<Route>({ view: 'overview' });

/** Follows changes of the URL. */
export function followURL(): void {
  const look = () => {
    route.value = parseRoute(location.hash);
  };
  addEventListener('hashchange', look);
  look();
}

/**
 * Opens a route, as a link does.
 * @returns whether the URL changed
 */
export function go(next: Route): boolean {
  const before = location.hash;
  location.hash = href(next);
  return location.hash !== before;
}

/** Writes the route into the URL without a new entry in the history, for example on each keystroke of a search. */
export function replaceRoute(next: Route): void {
  history.replaceState(null, '', href(next));
  route.value = parseRoute(location.hash);
}

/** Takes the token of `kubectl overlay ui` out of the URL, where it does not stay. */
export function takeToken(): string | undefined {
  const [, token] = /^#token=([^&]+)/.exec(location.hash) ?? [];
  if (token === undefined) return undefined;
  const rest = decoded(/&to=(.*)$/.exec(location.hash)?.[1] ?? '');
  // a link may name any address; the page does not leave its own
  history.replaceState(null, '', rest.startsWith('#') ? rest : '#/');
  return decoded(token);
}
