import type { Page, Route } from 'playwright-core';
import type { Recorded } from './recorded.ts';

/** States of the page that recorded data alone does not give: how the operator's answers differ. */
export type State =
  'signed-out' | 'refused' | 'updated' | 'stale' | 'loading' | 'empty' | 'broken' | 'viewer' | 'silent';

const rows = '**/api/v1/**';

const refusal = (status: number, error: string) => (route: Route) =>
  route.fulfill({ status, json: { error } });

/** Changes an answer of the operator. */
const changed = (change: (answer: object) => object) => async (route: Route) => {
  const response = await route.fetch();
  await route.fulfill({ response, json: change((await response.json()) as object) });
};

const routes: Record<Exclude<State, 'empty'>, (tab: Page) => Promise<unknown>> = {
  'signed-out': (tab) => tab.route(rows, refusal(401, 'no token')),
  refused: (tab) => tab.route(rows, refusal(401, 'the API server does not know this token')),
  updated: (tab) =>
    tab.route(
      /api\/v1\/(?!changes)/,
      changed((answer) => ({ ...answer, version: '9.0.0' })),
    ),
  stale: (tab) => tab.route('**/api/v1/changes', (route) => route.abort()),
  loading: (tab) =>
    tab.route(/api\/v1\/(networks|agents|findings|spaces|containers)(?!\?limit=1$)/, () => undefined),
  broken: (tab) =>
    tab.route(
      /api\/v1\/(agents|spaces|findings|trace)/,
      refusal(500, 'the API server did not answer: connect ECONNREFUSED 10.96.0.1:443'),
    ),
  viewer: (tab) =>
    tab.route(
      /api\/v1\/(containers|peers|trace)/,
      refusal(403, 'user x may not get it: bind the ClusterRole overlaynet-inspector to that user'),
    ),
  silent: (tab) =>
    tab.route(
      /api\/v1\/containers/,
      changed((answer) => ({
        ...answer,
        pass: undefined,
        unanswered: [{ node: 'node2', reason: '172.17.0.4: connect ECONNREFUSED 172.17.0.4:9181' }],
      })),
    ),
};

/** Prepares a tab, before it opens the page. */
export async function prepare(tab: Page, state: State | undefined): Promise<void> {
  if (state !== undefined && state !== 'empty') await routes[state](tab);
}

/** Does what the user does to get there, after the page is open. */
export async function reach(tab: Page, state: State | undefined): Promise<void> {
  if (state !== 'refused') return;
  await tab.locator('input[type=password]').fill('expired');
  await tab.locator('button.first').click();
}

/** A cluster without a network and without a node. */
export const emptied = (of: Recorded): Recorded => ({
  ...of,
  world: { ...of.world, networks: [], nodes: new Map(), agents: new Map(), allocations: new Map() },
  containers: [],
  events: [],
});
