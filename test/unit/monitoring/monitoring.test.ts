import { readFileSync } from 'node:fs';
import { parse, parseAllDocuments } from 'yaml';
import { prometheusRule, ruleFile } from '../../../hack/reference/monitoring.ts';
import { expressionsOf, readDashboard, type Dashboard } from '../../support/dashboards.ts';
import { registeredLabels, registeredMetrics, sampleNames } from '../../support/metrics.ts';
import { filesBelow, textOf } from '../../support/source.ts';

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
  labels?: { severity?: string };
  annotations?: { summary?: string; runbook_url?: string };
}

const rules = (
  parse(textOf('deploy/monitoring/rules.yaml')) as { groups: { rules: Rule[] }[] }
).groups.flatMap((group) => group.rules);
const alerts = rules.filter(({ alert }) => alert !== undefined);
const recorded = rules.flatMap(({ record }) => record ?? []);
const dashboards = filesBelow('deploy/monitoring/dashboards', '.json').map((file): [string, Dashboard] => [
  file,
  readDashboard(file),
]);

/** Names of metrics in an expression: what a selector or a function can take, but for labels in braces and `by (…)`. */
const metricsIn = (expression: string): string[] =>
  [...expression.replace(/\{[^}]*\}/g, '').matchAll(/\b(?:overlaynet|process|nodejs)[_:][a-z0-9_:]+/g)].map(
    ([name]) => name,
  );

const everyExpression = (): string[] => [
  ...rules.map(({ expr }) => expr),
  ...dashboards.flatMap(([, dashboard]) => expressionsOf(dashboard).map(({ expr }) => expr)),
];

test('every alert has a summary, a severity, and its own runbook section', () => {
  expect(alerts.length).toBeGreaterThan(20);
  const headings = [...textOf('docs/alerts.md').matchAll(/^### (.*)$/gm)].map(([, heading = '']) => heading);
  expect(headings.sort()).toEqual(alerts.map(({ alert = '' }) => alert).sort());
  for (const { alert = '', labels, annotations } of alerts) {
    expect(annotations?.runbook_url).toBe(`docs/alerts.md#${alert.toLowerCase()}`);
    expect(annotations?.summary).toMatch(/\.$/);
    expect(['info', 'warning', 'critical']).toContain(labels?.severity);
  }
});

test('every section says what it means, what to look at and what to do', () => {
  for (const section of textOf('docs/alerts.md').split(/^### /m).slice(1)) {
    const parts = ['Meaning.', 'Look at', 'Do.'].filter((part) => section.includes(`**${part}**`));
    expect({ section: section.split('\n')[0], parts }).toEqual({
      section: section.split('\n')[0],
      parts: ['Meaning.', 'Look at', 'Do.'],
    });
  }
});

test('every alert has a promtool test in which it fires, and one in which it is silent', () => {
  const { tests } = parse(textOf('deploy/monitoring/rules.test.yaml')) as {
    tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[];
  };
  const tried = tests.flatMap(({ alert_rule_test }) => alert_rule_test);
  for (const { alert } of alerts) {
    const own = tried.filter(({ alertname }) => alertname === alert);
    const kinds = new Set(own.map(({ exp_alerts }) => (exp_alerts.length > 0 ? 'fires' : 'silent')));
    expect({ alert, kinds: [...kinds].sort() }).toEqual({ alert, kinds: ['fires', 'silent'] });
  }
});

test('every metric that can make an alert fire does so in a promtool test', () => {
  const { tests } = parse(textOf('deploy/monitoring/rules.test.yaml')) as {
    tests: {
      input_series: { series: string }[];
      alert_rule_test: { alertname: string; exp_alerts: unknown[] }[];
    }[];
  };
  const recordedBy = new Map(rules.map(({ record, expr }) => [record, expr]));
  const sources = (expression: string): string[] =>
    metricsIn(expression).flatMap((name) => {
      const own = recordedBy.get(name);
      return own === undefined ? [name] : sources(own);
    });
  for (const { alert, expr } of alerts) {
    const firing = tests.filter(({ alert_rule_test }) =>
      alert_rule_test.some(({ alertname, exp_alerts }) => alertname === alert && exp_alerts.length > 0),
    );
    const given = firing.flatMap(({ input_series }) =>
      input_series.flatMap(({ series }) => metricsIn(series)),
    );
    const untried = sources(expr).filter((name) => !given.includes(name));
    expect({ alert, untried }).toEqual({ alert, untried: [] });
  }
});

test('every metric in rules and dashboards is one that the programs have, or a rule records', async () => {
  const known = new Set([...sampleNames(await registeredMetrics()), ...recorded]);
  const all = everyExpression();
  const named = all.flatMap(metricsIn);
  expect(named.length).toBeGreaterThan(60);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
  for (const expression of all)
    expect({
      expression,
      metrics: metricsIn(expression).length + Number(/\bup\{/.test(expression)),
    }).not.toEqual({
      expression,
      metrics: 0,
    });
});

test('rules and dashboards ask a metric for labels that it has, or that Prometheus adds', () => {
  const added = ['job', 'pod', 'node', 'le'];
  const labels = registeredLabels();
  const base = (name: string) => name.replace(/_(bucket|sum|count)$/, '');
  const selectors = (expression: string) => [
    ...expression.matchAll(/\b(overlaynet_[a-z0-9_]+|up|process_[a-z_]+)\{([^}]*)\}/g),
  ];
  let checked = 0;
  for (const expression of everyExpression()) {
    for (const [, name = '', inside = ''] of selectors(expression)) {
      const has = [...added, ...(labels.get(name) ?? labels.get(base(name)) ?? [])];
      for (const [, label = ''] of inside.matchAll(/(\w+)(?:=~|!~|!=|=)/g)) {
        checked++;
        expect({ expression, label, has: has.includes(label) }).toEqual({ expression, label, has: true });
      }
    }
    const all = metricsIn(expression).filter((name) => !name.includes(':'));
    if (all.length !== metricsIn(expression).length) continue;
    for (const [, list = ''] of expression.matchAll(/\bby \(([^)]*)\)/g)) {
      for (const label of list.split(/, */)) {
        const has =
          added.includes(label) ||
          all.some((name) => (labels.get(name) ?? labels.get(base(name)))?.includes(label));
        checked++;
        expect({ expression, label, has }).toEqual({ expression, label, has: true });
      }
    }
  }
  expect(checked).toBeGreaterThan(100);
});

test('the PrometheusRule says what rules.yaml says: npm run reference writes it anew', async () => {
  expect(readFileSync(ruleFile, 'utf8')).toBe(await prometheusRule());
});

test.each(dashboards)(
  '%s asks for the data source, and every panel has a title and a place of its own',
  (_, dashboard) => {
    const { templating, panels } = dashboard;
    expect(templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource', query: 'prometheus' });
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const { title, targets } of panels) {
      expect(title).not.toBe('');
      for (const { datasource } of targets) expect(datasource.uid).toBe('${datasource}');
    }
  },
);

test('the PodMonitor and the scrape configuration select the pods of deploy/system by label and port', () => {
  const pods = ['operator', 'agent'].map(
    (name) =>
      parseAllDocuments(textOf(`deploy/system/${name}.yaml`))
        .map((document) => document.toJS() as { spec?: { template?: PodTemplate } } | null)
        .find((object) => object?.spec?.template !== undefined)!.spec!.template!,
  );
  const monitor = parse(textOf('deploy/monitoring/podmonitor.yaml')) as {
    spec: {
      selector: { matchLabels: Record<string, string> };
      podMetricsEndpoints: { port: string }[];
      jobLabel: string;
    };
  };
  const { selector, podMetricsEndpoints, jobLabel } = monitor.spec;
  const jobs = new Set(
    rules.flatMap(({ expr }) => [...expr.matchAll(/job="([^"]+)"/g)].map(([, job]) => job)),
  );
  for (const { metadata, spec } of pods) {
    expect(metadata.labels).toMatchObject(selector.matchLabels);
    const ports = spec.containers.flatMap((container) => container.ports?.map(({ name }) => name) ?? []);
    expect(ports).toContain(podMetricsEndpoints[0]!.port);
    expect(jobs).toContain(metadata.labels[jobLabel]);
  }
});

interface PodTemplate {
  metadata: { labels: Record<string, string> };
  spec: { containers: { ports?: { name: string }[] }[] };
}
