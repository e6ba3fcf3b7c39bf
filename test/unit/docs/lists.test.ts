import { refusals } from '../../../src/containers/ask.ts';
import { pluginDefaults } from '../../../src/containers/conflist.ts';
import { linkPrefix } from '../../../src/net/name.ts';
import { desired } from '../../../src/dataplane/desired.ts';
import * as ownership from '../../../src/dataplane/ownership.ts';
import { resolving } from '../../../src/dataplane/resolving.ts';
import { rulePriorities } from '../../../src/dataplane/rules.ts';
import { guard } from '../../../src/dataplane/spoof.ts';
import { registeredLabels, registeredMetrics } from '../../support/metrics.ts';
import { cluster } from '../../support/cluster.ts';
import { filesBelow, reasonsInSource, textOf } from '../../support/source.ts';

const page = (name: string): string => textOf(`docs/reference/${name}.md`);

/** What stands in backquotes in the first column of a page's tables. */
const listed = (name: string, pattern: RegExp): string[] =>
  [...page(name).matchAll(/^\| `([^`|]+)`/gm)]
    .map(([, text = '']) => text)
    .filter((text) => pattern.test(text));

const sorted = (texts: Iterable<string>): string[] => [...new Set(texts)].sort();

test('metrics.md has every metric that operator and agent register, and no other', async () => {
  const text = await registeredMetrics();
  const registered = [...text.matchAll(/^# HELP (overlaynet_\S+)/gm)].map(([, name = '']) => name);
  expect(registered.length).toBeGreaterThan(15);
  expect(sorted(listed('metrics', /^overlaynet_/))).toEqual(sorted(registered));
});

test('metrics.md says of each metric which type and labels it has', async () => {
  const text = await registeredMetrics();
  const types = new Map(
    [...text.matchAll(/^# TYPE (overlaynet_\S+) (\S+)/gm)].map(([, name = '', type = '']) => [name, type]),
  );
  const labelsOf = registeredLabels();
  const rows = [...page('metrics').matchAll(/^\| `(overlaynet_\S+)` +\| (\S+) +\| ([^|]*?) *\|/gm)];
  expect(rows.length).toBeGreaterThan(50);
  for (const [, name = '', type, labels = ''] of rows) {
    const said = [...labels.matchAll(/`([^`]+)`/g)].map(([, label]) => label);
    expect({ name, type, labels: said }).toEqual({ name, type: types.get(name), labels: labelsOf.get(name) });
  }
});

test('conditions.md has every reason that the source gives a condition, and no other', () => {
  expect(sorted(listed('conditions', /^[A-Z][A-Za-z]+$/))).toEqual(sorted(reasonsInSource()));
});

test('cni-errors.md has every code that agent and plugin answer with', () => {
  const go = filesBelow('src/cni', '.go').filter((file) => !file.endsWith('_test.go'));
  const own = go.flatMap((file) =>
    [...textOf(file).matchAll(/^const (?!longest)\w+ = (1\d\d)$/gm)].map(([, code = '']) => code),
  );
  const codes = sorted([...Object.values(refusals).map(String), ...own, '50']);
  const rows = [...page('cni-errors').matchAll(/^\| (\d+) +\|/gm)].map(([, code = '']) => code);
  expect(sorted(rows)).toEqual(codes);
  expect(textOf('docs/cni.md').match(/^\| (\d+) +\|/gm)).toBeNull();
});

test('annotations.md has every annotation and label that the source names', () => {
  const files = [...filesBelow('src', '.ts'), ...filesBelow('src/cni', '.go')];
  const named = files.flatMap((file) =>
    [...textOf(file).matchAll(/['"`](overlaynet\.dev\/[a-z-]+|dev\.overlaynet\.[a-z]+)['"`]/g)].map(
      ([, name = '']) => name,
    ),
  );
  expect(named.length).toBeGreaterThan(5);
  expect(sorted(listed('annotations', /^(overlaynet\.dev|dev\.overlaynet)/))).toEqual(sorted(named));
});

test('flags.md has every flag of operator and agent', () => {
  // the command's own are in command.md
  const files = filesBelow('src', '.ts').filter((file) => !file.startsWith('src/cli/'));
  const flags = files.flatMap((file) =>
    [...textOf(file).matchAll(/(?:\.option|new Option)\(\s*'(--[a-z-]+(?: <[^>]+>)?)'/g)].map(
      ([, flag = '']) => flag,
    ),
  );
  expect(flags.length).toBeGreaterThan(20);
  expect(sorted(listed('flags', /^--/))).toEqual(sorted(flags));
});

describe('node.md', () => {
  const isolated = cluster(3, 0, {
    networks: [
      {
        name: 'NETWORK',
        subnets: [
          { cidr: '9.0.0.0/8', prefix: 24 },
          { cidr: 'fd01:b::/64', prefix: 80 },
        ],
        isolation: { mode: 'Isolated', hosts: 'Deny', allowAPIServer: true },
      },
    ],
    further: [[], ['10.9.9.9', 'fd09::9']],
  });
  const state = desired({ ...isolated, apiServers: [{ address: '172.17.0.2', port: 6443 }] })!;

  test('has every ipset that a node may have', () => {
    const names = [...state.sets.keys()].map((name) => name.replace(/-[46]$/, '-4'));
    const rows = listed('node', /^overlaynet-/).filter((name) => name.endsWith('-4'));
    expect(sorted(rows)).toEqual(sorted(names));
  });

  test('has every chain, by table', () => {
    const chains = [...state.chains[4], ...state.chains[6]].map(
      ({ table, hook, last }) => `${table} ${ownership.chainPrefix}${hook}${last === true ? '-LAST' : ''}`,
    );
    const rows = [...page('node').matchAll(/^\| `(\w+)` +\| `(OVERLAYNET-[A-Z-]+)`/gm)].map(
      ([, table = '', chain = '']) => `${table} ${chain}`,
    );
    expect(sorted(rows)).toEqual(sorted(chains));
  });

  test('has the marks by which the agent knows its own objects', () => {
    const { protocol, agentTable, worstMetric, alias, tunnelMark, uplinkMark } = ownership;
    const marks = [tunnelMark, uplinkMark].map((mark) => `\`${mark.split('/')[0] ?? ''}\``);
    const wanted = [
      `protocol ${protocol}`,
      `table ${agentTable}`,
      `metric ${worstMetric}`,
      `alias \`${alias}\``,
      `\`${linkPrefix.port}*\``,
      ...[...rulePriorities].map((priority) => `preference ${priority}`),
      ...[guard, resolving].map(({ name }) => `| \`${name}\``),
      ...marks,
    ];
    expect(wanted.filter((text) => !page('node').includes(text))).toEqual([]);
    expect([...state.links.keys()].filter((name) => !page('node').includes(`\`${name}\``))).toEqual([]);
  });

  test('has the paths that agent, plugin and DaemonSet use', () => {
    const written = filesBelow('src', 'dropins.ts').flatMap((file) =>
      [...textOf(file).matchAll(/path: '(etc\/[^']+)'/g)].map(([, path = '']) => `/${path}`),
    );
    expect(written).toHaveLength(2);
    const wanted = [...Object.values(pluginDefaults), ...written];
    expect(wanted.filter((path) => !page('node').includes(`\`${path}`))).toEqual([]);
  });
});
