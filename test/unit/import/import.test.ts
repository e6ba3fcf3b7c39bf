import fc from 'fast-check';
import type { OverlayConfigSpec, OverlayNetwork } from '../../../src/api/types.ts';
import { combine } from '../../../src/import/combine.ts';
import { readConfig } from '../../../src/import/config.ts';
import { toConfig } from '../../../src/import/export.ts';
import { Findings, findingText } from '../../../src/import/finding.ts';
import { decode } from '../../../src/import/mend.ts';
import { completed, toObjects, type Objects } from '../../../src/import/objects.ts';

interface Imported {
  objects: Objects | undefined;
  findings: string[];
}

function imported(source: string | Uint8Array): Imported {
  const findings = new Findings('config.yaml');
  const text = typeof source === 'string' ? source : decode(source, findings);
  const config = text === undefined ? undefined : readConfig(text, findings);
  const objects = config && toObjects(config, findings);
  return { objects: findings.refused ? undefined : objects, findings: findings.all.map(findingText) };
}

const refusals = (source: string) => imported(source).findings.filter((one) => one.includes(': refused: '));

/** Networks as `name subnet/prefix …`, and whether disabled. */
const networksOf = (source: string | Uint8Array) => {
  const { objects, findings } = imported(source);
  if (objects === undefined) return findings.filter((one) => one.includes(': refused: '));
  return objects.networks.map(({ metadata, spec }) =>
    [
      metadata.name,
      ...spec.subnets.map(({ cidr, prefix }) => `${cidr} ${prefix}`),
      ...(spec.enabled ? [] : ['off']),
    ].join(' '),
  );
};

const two = ['dcos 9.0.0.0/8 26', 'dcos-1 192.168.0.0/16 24'];
const body = `
  vtep_subnet: 44.128.0.0/20
  vtep_mac_oui: 70:B3:D5:00:00:00
  overlays:
    - name: dcos
      subnet: 9.0.0.0/8
      prefix: 26
    - name: dcos-1
      subnet: 192.168.0.0/16
      prefix: 24
`;
const file = `cluster_name: x\ndcos_overlay_network:${body}dcos_overlay_mtu: 1420\n`;
const json = JSON.stringify({
  vtep_subnet: '44.128.0.0/20',
  vtep_mac_oui: '70:B3:D5:00:00:00',
  overlays: [
    { name: 'dcos', subnet: '9.0.0.0/8', prefix: 26 },
    { name: 'dcos-1', subnet: '192.168.0.0/16', prefix: 24 },
  ],
});

describe('a configuration means the same, however it was pasted:', () => {
  const flat = body.replace(/^ +/gm, '');
  test.each<[string, string | Uint8Array]>([
    ['as it is', file],
    ['with windows line ends', file.replaceAll('\n', '\r\n')],
    ['with a mark at the beginning', `\ufeff${file}`],
    ['as UTF-16', Buffer.from(`\ufeff${file}`, 'utf16le')],
    ['with numbers in quotation marks', file.replace('prefix: 26', 'prefix: "26"').replace('1420', "'1420'")],
    ['with typographic quotation marks', file.replace('prefix: 26', 'prefix: “26”')],
    ['with no-break spaces', file.replaceAll('      ', '\u00a0\u00a0\u00a0\u00a0\u00a0\u00a0')],
    ['with a space before the colon', file.replace('dcos_overlay_network:', 'dcos_overlay_network :')],
    ['all of it deeper', file.replace(/^/gm, '    ')],
    ['in the frame of a code block', `\`\`\`yaml\n${file}\`\`\`\n`],
    ['with the body at column 0', `dcos_overlay_network:${body.replace(/^ {2}/gm, '')}`],
    ['with all indentation lost', `dcos_overlay_network:${flat}`],
    ['with a comment glued to the key', file.replace('dcos_overlay_network:', 'dcos_overlay_network:# ours')],
    ['with a missing space', file.replace('prefix: 26', 'prefix:26')],
    ['with tabs', file.replace(/^ +/gm, (all) => '\t'.repeat(all.length / 2))],
    ['with an anchor of a web page', file.replace('cluster_name: x', 'cluster_name: &lt;cluster-name&gt;')],
    ['beside a template', file.replace('cluster_name: x', 'cluster_name: {{ name }}')],
    ['beside a broken list', file.replace('cluster_name: x', 'list:\n - a\n  b: "\nc: x')],
    ['as JSON text', `dcos_overlay_network: '${json}'\ndcos_overlay_mtu: "1420"\n`],
    ['as a JSON file', `{"dcos_overlay_network": ${json}, "dcos_overlay_mtu": 1420}`],
    ['as a block of text', `dcos_overlay_network: |${body}`],
    ['as master.json', `{"replicated_log_dir": "/var/lib", "network": ${json}}`],
    ['in the second document', `a: 1\n---\n${file}`],
    ['below another key', `dcos_config:\n${file.replace(/^/gm, '  ')}`],
    ['with an anchor of its own', file.replace('prefix: 24', 'prefix: &p 24\n      enabled: "true"')],
    ['with a dash of a text program', file.replaceAll('- name', '– name')],
    ['with a wide colon', file.replace('prefix: 26', 'prefix：26')],
  ])('%s', (_shape, source) => {
    expect(networksOf(source)).toEqual(two);
  });
});

test('a file that sets nothing means DC/OS’s defaults, and an empty one too', () => {
  for (const source of ['', '# nothing\n', 'cluster_name: x\nssh_port: 22\n'])
    expect(networksOf(source)).toEqual(['dcos 9.0.0.0/8 24', 'dcos6 fd01:b::/64 80']);
});

test('enable_ipv6 false disables networks of IPv6 alone, dcos_overlay_enable false all', () => {
  expect(networksOf("enable_ipv6: 'false'")).toEqual(['dcos 9.0.0.0/8 24', 'dcos6 fd01:b::/64 80 off']);
  expect(networksOf("dcos_overlay_enable: 'false'")).toEqual([
    'dcos 9.0.0.0/8 24 off',
    'dcos6 fd01:b::/64 80 off',
  ]);
});

test('an OUI of digits is text, default names become spec.defaultNetwork, the smaller MTU counts', () => {
  const source = file
    .replace('70:B3:D5:00:00:00', '70:10:20:00:00:00\n  vtep_mtu: 1400')
    .concat('dcos_overlay_network_default_name: dcos-1\n');
  const { objects, findings } = imported(source);
  expect(objects?.config.spec).toEqual({
    vtepSubnets: ['44.128.0.0/20'],
    vtepMACOUI: '70:10:20:00:00:00',
    mtu: 1400,
    defaultNetwork: 'dcos-1',
  });
  expect(findings.join()).toContain('config.yaml:5: not kept: vtep_mtu: 1400 differs from 1420');
  const { objects: other } = imported(file.replace(/name: dcos$/m, 'name: prod'));
  expect(other?.config.spec.defaultNetwork).toBe('dcos');
});

test.each([
  ['a name that is too long', 'name: dcos-1', 'name: fourteen-chars', 9, 'at most 13 characters (it has 14)'],
  ['a name of Docker’s', 'name: dcos-1', 'name: bridge', 9, 'is reserved'],
  ['a name twice', 'name: dcos-1', 'name: dcos', 9, 'is there twice, here and in line 6'],
  [
    'a subnet that overlaps',
    '192.168.0.0/16',
    '9.1.0.0/16',
    9,
    'overlaps 9.0.0.0/8 of network dcos in line 6',
  ],
  ['a subnet with host bits', '192.168.0.0/16', '192.168.0.1/16', 10, 'write 192.168.0.0/16'],
  ['a subnet of no length', '192.168.0.0/16', '192.168.0.0', 10, 'has no length'],
  ['a prefix that is a word', 'prefix: 24', 'prefix: many', 11, 'is not a whole number from 1 to 29'],
  ['a prefix that is too short', 'prefix: 24', 'prefix: 16', 11, 'must be longer than the subnet’s 16'],
  ['a placeholder', 'name: dcos-1', 'name: <name>', 9, 'is a placeholder'],
  ['a placeholder of a web page', 'name: dcos-1', 'name: &lt;name&gt;', 9, 'is a placeholder'],
  ['a list for a subnet', 'subnet: 192.168.0.0/16', 'subnet: [a, b]', 10, 'is a list'],
  ['a key that is nearly one', 'subnet: 192.168.0.0/16', 'sub_net: 192.168.0.0/16', 10, 'nearly subnet'],
  ['no subnet', '      subnet: 192.168.0.0/16\n      prefix: 24\n', '', 9, 'neither subnet nor subnet6'],
  ['an OUI that is none', '70:B3:D5:00:00:00', '70:B3:D5:00:00:01', 4, 'three octets followed by 00:00:00'],
  ['a VTEP subnet that is too large', '44.128.0.0/20', '44.0.0.0/6', 3, 'must be from /8 to /30'],
  ['an MTU that is too small', 'mtu: 1420', 'mtu: 500', 12, 'is not a whole number from 552 to 65485'],
  ['a text that does not end', 'name: dcos-1', 'name: "dcos-1', 9, 'not valid YAML'],
  [
    'a key set twice',
    'dcos_overlay_mtu: 1420',
    'dcos_overlay_mtu: 1420\ndcos_overlay_mtu: 1400',
    13,
    'is set twice',
  ],
  ['a misspelled key', 'dcos_overlay_mtu', 'dcos_overlay_mut', 12, 'nearly dcos_overlay_mtu'],
])('refuses %s with line, value and rule', (_what, from, to, line, words) => {
  const source = file.replace(from, to);
  expect(source).not.toBe(file);
  const found = refusals(source);
  expect(found.join('\n')).toContain(words);
  expect(found.some((one) => one.startsWith(`config.yaml:${line}: `))).toBe(true);
});

test('tabs that could mean more than one thing are refused', () => {
  const source = 'dcos_overlay_network:\n    overlays:\n\tvtep_subnet: 44.128.0.0/20\n';
  expect(refusals(source).join()).toContain(
    'config.yaml:3: refused: this is not valid YAML: the line is indented by a tab',
  );
});

test('files of one cluster are put together, and two that differ are refused', () => {
  const read = (source: string) => {
    const findings = new Findings('x.json');
    return { config: readConfig(source, findings)!, findings };
  };
  const master = read(`{"network": ${json}}`);
  const agent = read(
    '{"network_config": {"allocate_subnet": true, "mesos_bridge": true, "docker_bridge": false, "overlay_mtu": 1400}}',
  );
  const whole = combine([agent, master])!;
  expect([whole.mtu, whole.bridges, whole.networks.map(({ name }) => name)]).toEqual([
    1400,
    { mesos: true, docker: false },
    ['dcos', 'dcos-1'],
  ]);
  const other = read(`{"network": ${json.replace('"prefix":26', '"prefix":25')}}`);
  combine([master, other]);
  expect(other.findings.refused).toBe(true);
});

const mutation = fc.record({
  at: fc.nat(),
  cut: fc.integer({ min: 0, max: 12 }),
  put: fc.oneof(
    fc.string({ maxLength: 6 }),
    fc.constantFrom('\t', '\n', ':', '- ', '"', '{', '&a ', '*a', '#', '\u00a0', '${X}', '<x>', '---\n'),
  ),
});

test('whatever is done to a file, nothing is thrown, each refusal has its remedy, and no network is lost silently', () => {
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 5 }), (mutations) => {
      const source = mutations.reduce((text, { at, cut, put }) => {
        const from = at % (text.length + 1);
        return text.slice(0, from) + put + text.slice(from + cut);
      }, file);
      const { objects, findings } = imported(source);
      for (const one of findings) if (one.includes(': refused: ')) expect(one).toContain('; ');
      if (objects === undefined) expect(findings.some((one) => one.includes(': refused: '))).toBe(true);
      // each network that the text still has by a line of its own is an object, or something is said
      const has = /^dcos_overlay_network:$/m.test(source) && /^ {4}- name: dcos-1$/m.test(source);
      if (has && objects !== undefined && findings.length === 0)
        expect(objects.networks.map(({ metadata }) => metadata.name)).toContain('dcos-1');
    }),
    { numRuns: 1_000 },
  );
});

test('import of an export changes nothing', () => {
  const name = fc
    .stringMatching(/^[a-z0-9]([-a-z0-9]{0,9}[a-z0-9])?$/)
    .filter((one) => !['host', 'bridge', 'default', 'none'].includes(one));
  const world = fc.record({
    names: fc.uniqueArray(name, { minLength: 1, maxLength: 6 }),
    kinds: fc.array(fc.constantFrom(4, 6, 46), { minLength: 6, maxLength: 6 }),
    enabled: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
    mtu: fc.integer({ min: 1280, max: 9_000 }),
    oui: fc.constantFrom('70:B3:D5:00:00:00', '02:11:22:00:00:00', '00:00:10:00:00:00'),
  });
  fc.assert(
    fc.property(world, ({ names, kinds, enabled, mtu, oui }) => {
      const networks = names.map((one, at): OverlayNetwork => ({
        metadata: { name: one },
        spec: {
          subnets: [
            ...(kinds[at] === 6 ? [] : [{ cidr: `10.${at}.0.0/16`, prefix: 24, state: 'Active' as const }]),
            ...(kinds[at] === 4
              ? []
              : [{ cidr: `fd02:${at + 1}::/64`, prefix: 80, state: 'Active' as const }]),
          ],
          enabled: enabled[at] ?? true,
          containerizers: ['CNI', 'Docker'],
        },
      }));
      const config: OverlayConfigSpec = {
        vtepSubnets: ['44.128.0.0/20', 'fd01:a::/64'],
        vtepMACOUI: oui,
        vni: 1024,
        port: 64_000,
        underlay: 'IPv4',
        mtu,
        defaultNetwork: names[0]!,
        reuseCooldown: '10m',
      };
      const { text, lost } = toConfig(config, networks);
      expect(lost).toEqual([]);
      const { objects, findings } = imported(text);
      expect(findings.filter((one) => one.includes('refused'))).toEqual([]);
      expect({ ...config, ...objects?.config.spec }).toEqual(config);
      const byName = networks.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
      expect(objects?.networks.map(completed)).toEqual(byName);
    }),
    { numRuns: 200 },
  );
});

test('export says what DC/OS has no words for', () => {
  const config = {
    vtepSubnets: ['44.128.0.0/20'],
    vtepMACOUI: '70:B3:D5:00:00:00',
    vni: 7,
    port: 64_000,
    underlay: 'IPv4' as const,
    defaultNetwork: 'a,b',
    reuseCooldown: '10m',
  };
  const subnets = [
    { cidr: '10.1.0.0/16', prefix: 24, state: 'Draining' as const },
    { cidr: '10.2.0.0/16', prefix: 24, state: 'Active' as const },
  ];
  const spec = {
    subnets,
    enabled: true,
    containerizers: ['CNI' as const],
    isolation: { mode: 'Isolated' as const },
  };
  expect(toConfig(config, [{ metadata: { name: 'a' }, spec }]).lost).toEqual([
    'OverlayConfig: there is no spec.mtu; DC/OS takes 1420',
    'OverlayConfig: spec.defaultNetwork is a,b; DC/OS takes one name of each family',
    'OverlayConfig: spec.vni is 7; DC/OS has 1024',
    'network a: the further subnet 10.2.0.0/16 is left out; DC/OS has one of each family',
    'network a: 10.1.0.0/16 is Draining; DC/OS does not know that',
    'network a: spec.containerizers is CNI alone',
    'network a: spec.isolation has no counterpart',
  ]);
});
