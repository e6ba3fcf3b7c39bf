import { textOf } from './source.ts';

/** The part of a Grafana dashboard that the tests use. */
export interface Dashboard {
  title: string;
  templating: { list: { name: string; type: string; query: unknown; definition?: string }[] };
  panels: {
    id: number;
    title: string;
    gridPos: Record<'x' | 'y' | 'w' | 'h', number>;
    targets: { expr: string; datasource: { uid: string } }[];
  }[];
}

export const readDashboard = (file: string): Dashboard => JSON.parse(textOf(file)) as Dashboard;

/**
 * Returns the queries of a dashboard as Grafana sends them.
 * @param node the value of `$node`
 */
export const expressionsOf = (
  { panels }: Dashboard,
  node = 'node1',
  interval = '1m',
): { panel: string; expr: string }[] =>
  panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({
      panel: title,
      expr: expr.replaceAll('$node', node).replaceAll('$__rate_interval', interval),
    })),
  );
