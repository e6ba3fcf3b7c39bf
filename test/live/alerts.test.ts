import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';
import { command } from '../../hack/parts/command.ts';
import { expressionsOf, readDashboard } from '../support/dashboards.ts';
import { answersOfMetrics } from '../support/metrics.ts';
import { filesBelow } from '../support/source.ts';

const folder = fileURLToPath(new URL('../../deploy/monitoring', import.meta.url));
const promtool = (...args: string[]) => command('promtool', args, { cwd: folder });

test('Prometheus accepts the rules', async () => {
  expect(await promtool('check', 'rules', 'rules.yaml')).toContain('SUCCESS');
});

test('each alert fires when it should, and only then', async () => {
  expect(await promtool('test', 'rules', 'rules.test.yaml')).toContain('SUCCESS');
});

test('Prometheus understands each query of the dashboards', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ovt-promql-'));
  try {
    for (const file of filesBelow('deploy/monitoring/dashboards', '.json')) {
      const rules = expressionsOf(readDashboard(file)).map(({ expr }, at) => ({
        record: `panel:${at}`,
        expr,
      }));
      expect(rules.length).toBeGreaterThan(20);
      const path = join(dir, 'panels.yaml');
      writeFileSync(path, stringify({ groups: [{ name: 'panels', rules }] }));
      expect(await promtool('check', 'rules', '--lint=none', path)).toContain(`${rules.length} rules found`);
      // the check fails for a wrong query
      writeFileSync(path, stringify({ groups: [{ name: 'x', rules: [{ record: 'x', expr: 'sum by (' }] }] }));
      await expect(promtool('check', 'rules', path)).rejects.toThrow('parse error');
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('names, types and helps of all metrics keep the conventions of Prometheus', async () => {
  for (const input of await answersOfMetrics())
    expect(await command('promtool', ['check', 'metrics'], { input })).toBe('');
  // the check fails for a wrong name
  const input = '# HELP ovt_restarts Restarts.\n# TYPE ovt_restarts counter\novt_restarts 1\n';
  await expect(command('promtool', ['check', 'metrics'], { input })).rejects.toThrow('_total');
});

test('the component adds to deploy/ only what Prometheus needs', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ovt-component-'));
  try {
    const rendered = async (kustomization: object): Promise<string[]> => {
      writeFileSync(join(dir, 'kustomization.yaml'), stringify(kustomization));
      const kubectl = join(process.env.KUBEBUILDER_ASSETS ?? '', 'kubectl');
      return parseAllDocuments(await command(kubectl, ['kustomize', dir])).map(String);
    };
    const resources = [relative(dir, join(folder, '..'))];
    const bare = await rendered({ resources });
    const monitored = await rendered({ resources, components: [relative(dir, folder)] });
    expect(bare.filter((text) => !monitored.includes(text))).toEqual([]);
    const added = monitored
      .filter((text) => !bare.includes(text))
      .map((text) => /^kind: (\S+)$/m.exec(text)?.[1]);
    expect(added.sort()).toEqual([
      'ClusterRole',
      'ClusterRoleBinding',
      'PodMonitor',
      'PrometheusRule',
      'Secret',
      'ServiceAccount',
    ]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
