import { signal } from '@preact/signals';

/** What the page shows; its text stands behind the `#` of the URL, so that a link leads there. */
export type Route =
  | { view: 'overview' }
  | { view: 'network'; name: string }
  | { view: 'agents'; search?: string }
  | { view: 'agent'; name: string }
  | { view: 'containers'; search?: string; network?: string; node?: string };

const filters = ['search', 'network', 'node'] as const;

/** Text that is no route shows the overview. */
export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split('?');
  const [view, rest] = [path.split('/')[0], path.split('/').slice(1).join('/')];
  const name = decoded(rest);
  const given = new URLSearchParams(query);
  const chosen = Object.fromEntries(
    filters.flatMap((one) => (given.get(one) ? [[one, given.get(one)]] : [])),
  );
  if (view === 'networks' && name !== '') return { view: 'network', name };
  if (view === 'agents' && name !== '') return { view: 'agent', name };
  if (view === 'agents') return { view, ...(chosen.search ? { search: chosen.search } : {}) };
  if (view === 'containers') return { view, ...chosen };
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

/** Follows the URL. */
export function followURL(): void {
  const look = () => {
    route.value = parseRoute(location.hash);
  };
  addEventListener('hashchange', look);
  look();
}

/** Writes the route into the URL without a new entry in the history, as for each letter of a search. */
export function replaceRoute(next: Route): void {
  history.replaceState(null, '', href(next));
  route.value = parseRoute(location.hash);
}

/** A token that `kubectl overlay ui` handed over. It does not stay in the URL. */
export function takeToken(): string | undefined {
  const [, token] = /^#token=([^&]+)/.exec(location.hash) ?? [];
  if (token === undefined) return undefined;
  const rest = /&to=(.*)$/.exec(location.hash)?.[1];
  history.replaceState(null, '', rest === undefined ? '#/' : decoded(rest));
  return decoded(token);
}
