import { readFileSync } from 'node:fs';
import { reference } from '../../../hack/testbed/reference.ts';
import { readMap } from '../../../src/import/agentsmap.ts';
import { readConfig } from '../../../src/import/config.ts';
import { Findings, findingText } from '../../../src/import/finding.ts';
import { toObjects } from '../../../src/import/objects.ts';
import { toReservations } from '../../../src/import/reservations.ts';
import { readState } from '../../../src/import/state.ts';

const text = readFileSync(reference, 'utf8');

function read(state: string, config = '') {
  const ofConfig = new Findings('config.yaml');
  const objects = toObjects(readConfig(config, ofConfig)!, ofConfig);
  const findings = new Findings('state.json');
  const agents = readState(state, objects, findings);
  return { agents, findings: findings.all.map(findingText) };
}

/** The reference with one text in place of another, wherever that stands. */
const edited = (...pairs: [string | RegExp, string][]) =>
  pairs.reduce((found, [from, to]) => {
    const next = found.replaceAll(typeof from === 'string' ? from : new RegExp(from, 'g'), to);
    expect(next).not.toBe(found);
    return next;
  }, text);

/** An overlay that its first agent has. */
const first = (JSON.parse(text) as { agents: { overlays: unknown[] }[] }).agents[0]!.overlays[0];

test('the reference is read: VTEPs, MACs, blocks, and the master that has no bridges', () => {
  const { agents, findings } = read(text);
  expect(findings).toEqual([]);
  expect(agents).toEqual(
    [
      ['172.17.0.2', 1, '9.0.0.0/24', 'fd01:b::/80', true],
      ['172.17.0.4', 2, '9.0.1.0/24', 'fd01:b:0:0:1::/80', false],
      ['172.17.0.3', 3, '9.0.2.0/24', 'fd01:b:0:0:2::/80', false],
    ].map(([address, at, four, six, bare]) => ({
      address,
      bare,
      vtep: {
        ip: `44.128.0.${String(at)}/20`,
        ip6: `fd01:a::${String(at)}/64`,
        mac: `70:b3:d5:80:00:0${String(at)}`,
      },
      networks: [
        { name: 'dcos', subnets: [four] },
        { name: 'dcos6', subnets: [six] },
      ],
    })),
  );
});

test('each agent becomes a reservation, bound by the map, with the time at which it ends', () => {
  const { agents } = read(text);
  const findings = new Findings('agents.csv');
  const map = readMap(
    'agent,node\n172.17.0.2, worker-1 # the master\n\n172.17.0.3;worker-2\n',
    agents!,
    findings,
  );
  expect(findings.all).toEqual([]);
  const [first, second] = toReservations(agents!, map, '2030-01-01T00:00:00Z');
  expect(first).toEqual({
    apiVersion: 'overlaynet.dev/v1alpha1',
    kind: 'OverlayReservation',
    metadata: { name: 'agent-172-17-0-2' },
    spec: {
      nodeName: 'worker-1',
      address: '172.17.0.2',
      vtep: { ip: '44.128.0.1/20', ip6: 'fd01:a::1/64', mac: '70:b3:d5:80:00:01' },
      networks: [
        { name: 'dcos', subnets: ['9.0.0.0/24'] },
        { name: 'dcos6', subnets: ['fd01:b::/80'] },
      ],
      expiresAt: '2030-01-01T00:00:00Z',
    },
  });
  expect(second!.spec.nodeName).toBeUndefined();
});

test.each([
  ['an address that is none', '172.17.0,worker-1', '1: refused: "172.17.0" is no IP address'],
  ['a line without a node', '172.17.0.2', '1: refused: "172.17.0.2" does not name one Node'],
  ['an agent that is not there', '172.17.0.9,worker-1', '1: refused: 172.17.0.9 is no agent of the state'],
  ['an agent twice', '172.17.0.2,a\n172.17.0.2,b', '2: refused: 172.17.0.2 is there twice'],
  ['a node twice', '172.17.0.2,a\n172.17.0.3,a', '2: refused: Node a is there twice'],
  ['a name that no Node can have', '172.17.0.2,Worker_1', '1: refused: "172.17.0.2,Worker_1" does not name'],
  ['a heading in its middle', '172.17.0.2,a\nagent,node', '2: refused: "agent" is no IP address'],
])('a map with %s is refused', (_what, source, words) => {
  const findings = new Findings('agents.csv');
  readMap(source, read(text).agents!, findings);
  expect(findings.all.map(findingText).join('\n')).toContain(`agents.csv:${words}`);
});

test('a MAC of another form is kept as it is, a state without `state` is read, and an agent without IPv6', () => {
  const old = JSON.parse(edited(['70:b3:d5:80:00:0', '70:B3:D5:00:0A:0'])) as {
    agents: { overlays: Record<string, unknown>[] }[];
  };
  for (const { overlays } of old.agents) for (const overlay of overlays) delete overlay.state;
  old.agents[1]!.overlays.pop();
  const { agents, findings } = read(JSON.stringify(old));
  expect(agents!.map(({ vtep }) => vtep!.mac)).toEqual([
    '70:b3:d5:00:0a:01',
    '70:b3:d5:00:0a:02',
    '70:b3:d5:00:0a:03',
  ]);
  expect(agents![1]!.networks).toEqual([{ name: 'dcos', subnets: ['9.0.1.0/24'] }]);
  expect(findings).toEqual([]);
});

test('a map of a table program is read: a heading, quotation marks, and addresses in another form', () => {
  const findings = new Findings('agents.csv');
  const agents = [{ address: 'fd00::2', networks: [], bare: false }];
  const map = readMap('"agent";"node"\r\n"FD00:0::2";"worker-1"\r\n', agents, findings);
  expect([findings.all, [...map]]).toEqual([[], [['fd00::2', 'worker-1']]]);
});

test('addresses in another form are the same: of a VTEP, and of a block that two agents have', () => {
  const { agents } = read(edited(['fd01:a::3/64', 'FD01:A:0::3/64']));
  expect(agents![2]!.vtep!.ip6).toBe('fd01:a::3/64');
  expect(read(edited(['fd01:a::3/64', 'FD01:A:0::2/64'])).findings[0]).toBe(
    'state.json: refused: agent 172.17.0.3 has fd01:a::2/64, and so has agent 172.17.0.4; the state is damaged; ask the old master again',
  );
});

test('what agents lack is said once for all of them', () => {
  const old = JSON.parse(text) as { agents: { overlays: Record<string, unknown>[] }[] };
  for (const { overlays } of old.agents) {
    delete overlays[0]!.subnet;
    overlays[0]!.backend = {};
    delete overlays[1]!.backend;
  }
  expect(read(JSON.stringify(old)).findings).toEqual([
    'state.json: note: agents 172.17.0.2, 172.17.0.4, 172.17.0.3: no block of 9.0.0.0/8 (dcos): a free one is given',
    'state.json: note: agents 172.17.0.2, 172.17.0.4, 172.17.0.3: no VTEP: a free one is given',
  ]);
});

test('of a state in which everything is wrong the first refusals are said', () => {
  const bad = { agents: Array.from({ length: 100_000 }, () => ({ ip: 7 })) };
  const { agents, findings } = read(JSON.stringify(bad));
  expect([agents, findings.length]).toEqual([undefined, 41]);
  expect(findings[0]).toContain('agents[0].ip is "7", and must be a string');
  expect(findings.at(-1)).toContain('there is more of that, and the rest is not read');
});

test('what cannot be kept is said: bridges in other halves, and a VTEP with two numbers', () => {
  const halves = edited(['9.0.1.0/25', 'X'], ['9.0.1.128/25', '9.0.1.0/25'], ['X', '9.0.1.128/25']);
  expect(read(halves).findings).toEqual([
    'state.json: not kept: agent 172.17.0.4: mesos_bridge of network dcos has 9.0.1.128/25; it will have 9.0.1.0/25',
    'state.json: not kept: agent 172.17.0.4: docker_bridge of network dcos has 9.0.1.0/25; it will have 9.0.1.128/25',
  ]);
  const { agents, findings } = read(edited(['fd01:a::3/64', 'fd01:a::9/64']));
  expect(findings).toEqual([
    'state.json: not kept: agent 172.17.0.3: 44.128.0.3/20 is VTEP 3 of its subnet and fd01:a::9/64 VTEP 9, and a node has one number here: the IPv6 address becomes another',
  ]);
  expect(agents![2]!.vtep).toEqual({ ip: '44.128.0.3/20', mac: '70:b3:d5:80:00:03' });
});

test.each(
  (
    [
      ['no JSON', '{', 'this is not JSON'],
      ['an end that is missing', text.slice(0, -200), 'this is not JSON, or not all of it'],
      ['a list', '[]', 'the document is a list, and must be an object'],
      ['agents that are no list', '{"agents": {}}', 'agents is an object, and must be a list'],
      [
        'a value that is nested without end',
        `{"agents": {"a": ${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
        'agents is an object, and must be a list',
      ],
      ['an agent that is no object', '{"agents": [3]}', 'agents[0] is "3", and must be an object'],
      [
        'overlays that are no list',
        '{"agents": [{"ip": "10.0.0.1", "overlays": "all"}]}',
        'agents[0].overlays is',
      ],
      [
        'a block that is a number',
        edited(['"subnet": "9.0.1.0/24"', '"subnet": 9']),
        'agents[1].overlays[0].subnet is "9", and must be a string',
      ],
      [
        'a VTEP without a MAC',
        edited(['"vtep_mac": "70:b3:d5:80:00:03",', '']),
        'has a VTEP without vtep_mac',
      ],
      [
        'a MAC without a VTEP',
        edited([/"vtep_ip6?": "[^"]*3\/[0-9]+",/, '']),
        'agent 172.17.0.3 has vtep_mac, and neither vtep_ip nor vtep_ip6',
      ],
      ['a multicast MAC', edited(['70:b3:d5:80:00:03', '71:b3:d5:80:00:03']), 'is no unicast MAC'],
      [
        'the MAC of another VTEP',
        edited(['70:b3:d5:80:00:03', '70:b3:d5:80:00:09']),
        'agent 172.17.0.3 is VTEP 3 with the MAC 70:b3:d5:80:00:09, which overlaynet gives VTEP 9',
      ],
      [
        'a network twice',
        text.replace('"overlays": [', `"overlays": [${JSON.stringify(first)},`),
        'agent 172.17.0.2 has network dcos twice',
      ],
      [
        'a network less than the configuration',
        edited([
          ',\n      {\n        "name": "dcos6",\n        "prefix6": 80,\n        "subnet6": "fd01:b::/64"\n      }\n    ]',
          ']',
        ]),
        'the configuration has a network dcos6, and the state has none',
      ],
      ['another document', '{"slaves": []}', 'there is no list "agents"'],
      ['an address twice', edited(['172.17.0.4', '172.17.0.2']), 'agent 172.17.0.2 is there twice'],
      [
        'a block twice',
        edited(['"9.0.1.0/24"', '"9.0.0.0/24"']),
        'agent 172.17.0.4 has 9.0.0.0/24, and so has agent 172.17.0.2',
      ],
      [
        'a MAC twice',
        edited(['70:b3:d5:80:00:03', '70:b3:d5:80:00:02']),
        'agent 172.17.0.3 has 70:b3:d5:80:00:02',
      ],
      [
        'a VTEP outside',
        edited(['44.128.0.3/20', '44.200.0.3/20']),
        '"44.200.0.3/20" is no VTEP of 44.128.0.0/20',
      ],
      [
        'a VTEP of another length',
        edited(['44.128.0.3/20', '44.128.0.3/16']),
        '"44.128.0.3/16" is no VTEP of',
      ],
      [
        'a block of another size',
        edited(['"9.0.1.0/24"', '"9.0.1.0/25"']),
        '"9.0.1.0/25", which is no block of network dcos',
      ],
      [
        'a network that is not configured',
        edited(['"dcos6"', '"other"']),
        'network "other", and the configuration has none',
      ],
      [
        'another configuration',
        text,
        'network dcos has 9.0.0.0/8 in blocks of /24, and the configuration 9.0.0.0/8 in blocks of /26',
        'dcos_overlay_network:\n  vtep_subnet: 44.128.0.0/20\n  vtep_subnet6: "fd01:a::/64"\n  vtep_mac_oui: 70:B3:D5:00:00:00\n  overlays:\n    - {name: dcos, subnet: 9.0.0.0/8, prefix: 26}\n    - {name: dcos6, subnet6: "fd01:b::/64", prefix6: 80}\n',
      ],
      [
        'another OUI',
        edited(['70:B3:D5:00:00:00', '70:B3:D6:00:00:00']),
        'network.vtep_mac_oui is "70:B3:D6:00:00:00", and the configuration has 70:B3:D5:00:00:00',
      ],
    ] as [string, string, string, string?][]
  ).map(([what, state, words, config = '']) => [what, state, words, config] as const),
)('a state with %s is refused', (_what, state, words, config) => {
  const { agents, findings } = read(state, config);
  expect(findings.join('\n')).toContain(words);
  expect(agents).toBeUndefined();
});

test('values that are nested too deep are a plain refusal, with the line', () => {
  const findings = new Findings('config.yaml');
  expect(readConfig(`a: 1\nb: ${'['.repeat(20_000)}`, findings)).toBeUndefined();
  expect(findings.all.map(findingText)[0]).toMatch(/^config.yaml:2: refused: .*nested too deep/);
});
