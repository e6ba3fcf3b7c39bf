import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { apiVersion } from '../../src/api/types.ts';
import { ApiError } from '../../src/kube/client.ts';
import { pathOf } from '../../src/kube/resources.ts';
import { startControlPlane, type ControlPlane } from '../support/controlplane.ts';
import { dryRun, refusal, resourceOf, type Manifest } from '../support/dryrun.ts';
import { agent, allocation, block, config, ledger, network, page, subnet } from '../support/manifests.ts';
import { install } from '../support/refuses.ts';

let plane: ControlPlane;

beforeAll(async () => {
  // an own control plane: the object `spaces` of a shared one may belong to another test
  plane = await startControlPlane();
  await install(plane, 'crds');
});

afterAll(() => plane.stop());

/** Stores the object. The following change of it is tried and not stored. */
async function stored(object: Manifest): Promise<void> {
  await plane.client.create(resourceOf(object.kind), { apiVersion, ...object });
}

const name = (i: number) => `n${i}`.padEnd(13, 'x');

const spread = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

describe('defaults', () => {
  test("are DC/OS's in an OverlayConfig without spec", async () => {
    const { spec } = await dryRun(plane.client, { kind: 'OverlayConfig', metadata: { name: 'default' } });
    expect(spec).toEqual({
      vtepSubnets: ['44.128.0.0/20', 'fd01:a::/64'],
      vtepMACOUI: '70:B3:D5:00:00:00',
      vni: 1024,
      port: 64000,
      underlay: 'IPv4',
      defaultNetwork: 'dcos',
      reuseCooldown: '10m',
    });
  });

  test('make a network enabled, active and for both containerizers', async () => {
    const { spec } = await dryRun(plane.client, network({}));
    expect(spec).toEqual({
      subnets: [{ cidr: '9.0.0.0/8', prefix: 24, state: 'Active' }],
      enabled: true,
      containerizers: ['CNI', 'Docker'],
    });
  });
});

describe('the API server takes', () => {
  const documents = parseAllDocuments(
    readFileSync(new URL('../../deploy/samples/overlay.yaml', import.meta.url), 'utf8'),
  );
  const samples = documents
    .map((document) => document.toJS() as Manifest | null)
    .filter((object) => object !== null);
  test.each<[string, Manifest]>([
    ...samples.map((object): [string, Manifest] => [`${object.metadata.name} of the samples`, object]),
    ['a name of 13 characters', network({}, 'abcdefghijklm')],
    ['a name that begins with a digit', network({}, '0net')],
    [
      'blocks of /29 and /125 for both containerizers',
      network({ subnets: [subnet('9.0.0.0/9', 29), subnet('fd01:b::/105', 125)] }),
    ],
    [
      'blocks of /30 and /126 for one',
      network({ containerizers: ['CNI'], subnets: [subnet('9.0.0.0/10', 30), subnet('fd01:b::/106', 126)] }),
    ],
    ['neighbouring subnets', network({ subnets: [subnet('10.0.0.0/9', 24), subnet('10.128.0.0/9', 24)] })],
    [
      'eight of the longest subnets',
      network({ subnets: spread(8, (i) => subnet(`fd01:b:1111:2222:3333:4444:5555:${i + 1}000/116`, 125)) }),
    ],
    [
      'selectors',
      network({
        nodeSelector: { matchLabels: { 'example.org/zone': 'a' } },
        namespaceSelector: {
          matchExpressions: [
            { key: 'team', operator: 'In', values: ['x'] },
            { key: 'old', operator: 'DoesNotExist' },
          ],
        },
      }),
    ],
    [
      'isolation',
      network({ isolation: { mode: 'Isolated', allow: ['dcos'], hosts: 'Deny', allowAPIServer: true } }),
    ],
    ['the smallest and largest VTEP subnets', config({ vtepSubnets: ['44.0.0.0/30', 'fc00::/8'] })],
    ['a VTEP subnet of IPv6 alone', config({ vtepSubnets: ['fd01:a::/126'], underlay: 'IPv6', mtu: 65485 })],
    [
      'several default networks',
      config({ defaultNetwork: 'dcos,dcos6', reuseCooldown: '1h30m', vtepMACOUI: '02:00:ff:00:00:00' }),
    ],
    [
      'node subnets of both families',
      config({ nodeSubnets: ['172.17.0.0/16', 'fd00:17::/64', '0.0.0.0/0'] }),
    ],
    ['a cooldown of 1000ms', config({ reuseCooldown: '1000ms' })],
    [
      'an agent of both families that holds the most',
      agent({
        addresses: ['172.17.0.2', 'fd00::2'],
        seenResourceVersion: '18446744073709551615',
        vtep: { ip: '44.128.0.2/20', ip6: 'fd01:a::2/64', mac: '70:b3:d5:80:00:02' },
        networks: spread(256, (i) => ({
          name: name(i),
          subnets: spread(8, (j) => `fd01:b:1111:2222:3333:4444:5555:${j + 1}000/116`),
        })),
      }),
    ],
    ['an allocation without blocks', allocation({ networks: [] })],
    ['the index before the first registration', ledger('spaces', { index: { nextPage: 0, spaces: [] } })],
    [
      'the largest index',
      ledger('spaces', {
        index: {
          nextPage: 100_000,
          config: {
            vtepSubnets: ['44.128.0.0/20', 'fd01:a::/64'],
            vtepMACOUI: '70:B3:D5:00:00:00',
            vni: 1024,
            port: 64000,
            underlay: 'IPv4',
          },
          spaces: [
            { cidr: 'vtep', prefix: 0, network: '', networkUID: '', pages: [0] },
            ...spread(512, (i) => ({
              cidr: 'fd01:b:1111:2222:3333:4444:5555:6000/116',
              prefix: 125,
              network: name(i),
              networkUID: 'u'.repeat(36),
              pages: spread(100, (k) => k),
            })),
          ],
        },
      }),
    ],
    ['a tombstone', ledger('vtep-3', { page: page({ space: 'vtep', first: 0, retired: true }) })],
  ])('%s', async (_, object) => {
    expect(await refusal(plane.client, object)).toBeUndefined();
  });

  test('no unknown field', async () => {
    const body = { apiVersion, ...network({ colour: 'red' }) };
    const attempt = (fieldValidation: string) =>
      plane.client.raw({
        what: 'create',
        method: 'POST',
        path: pathOf(resourceOf('OverlayNetwork')),
        query: { dryRun: 'All', fieldValidation },
        body,
      });
    await expect(attempt('Strict')).rejects.toThrow('unknown field "spec.colour"');
    expect(await attempt('Ignore')).not.toContain('colour');
  });
});

describe('a change', () => {
  test('of prefix, containerizers or both subnets that overlap is refused; adding and draining are not', async () => {
    const of = (spec: Record<string, unknown>) => refusal(plane.client, network(spec, 'ovt-change'));
    await stored(network({}, 'ovt-change'));
    expect(await of({ subnets: [subnet('9.0.0.0/8', 25)] })).toMatch(
      /spec\.subnets\[0\]\.prefix: .*prefix of 9\.0\.0\.0\/8 is immutable: it is 24 and cannot become 25/,
    );
    expect(await of({ containerizers: ['CNI'] })).toMatch(
      /spec\.containerizers: .*containerizers is immutable: it is \["CNI", "Docker"\] and cannot become \["CNI"\]/,
    );
    expect(await of({ subnets: [subnet('9.0.0.0/8', 24), subnet('9.1.0.0/16', 24)] })).toContain(
      'overlap each other',
    );
    expect(await of({ containerizers: ['Docker', 'CNI'] })).toBeUndefined();
    expect(await of({ enabled: false })).toBeUndefined();
    expect(
      await of({ subnets: [subnet('9.0.0.0/8', 24, { state: 'Draining' }), subnet('10.0.0.0/8', 24)] }),
    ).toBeUndefined();
    expect(await of({ subnets: [subnet('10.0.0.0/8', 25)] })).toBeUndefined();
  });

  test('gives an AgentAllocation its blocks, and never a lower revision', async () => {
    const of = (spec: Record<string, unknown>) => refusal(plane.client, allocation(spec, 'ovt-change'));
    await stored(allocation({ revision: 5 }, 'ovt-change'));
    const filled = {
      vtep: { mac: '70:b3:d5:80:00:02' },
      networks: [{ name: 'dcos', subnets: [{ cidr: '9.0.1.0/24' }] }],
    };
    expect(await of({ revision: 6, ...filled })).toBeUndefined();
    expect(await of({ revision: 4 })).toMatch(
      /spec\.revision: .*revision 4 must not be lower than the present 5/,
    );
  });

  test('gives an AgentAllocation blocks, and parts of them, and nothing else', async () => {
    const resource = resourceOf('AgentAllocation');
    await stored(allocation({}, 'ovt-blocks'));
    const of = (subnet: Record<string, unknown>) =>
      refusal(plane.client, allocation({ networks: [{ name: 'dcos', subnets: [subnet] }] }, 'ovt-blocks'));
    const cidr = '9.0.1.0/24';
    const at = String.raw`spec\.networks\[0\]\.subnets\[0\]`;
    for (const [subnet, where, says] of [
      [{ cidr: '9.0.1.0/33' }, 'cidr', 'cidr "9.0.1.0/33" is not a CIDR'],
      [{ cidr: '9.0.1.1/24' }, 'cidr', 'cidr "9.0.1.1/24" is not a CIDR in canonical form without host bits'],
      [{ cidr, bridges: { cni: '9.0.1.0/99' } }, 'bridges\\.cni', 'cni "9.0.1.0/99" is not a CIDR'],
      [{ cidr, bridges: { docker: '9.0.1.1/25' } }, 'bridges\\.docker', '"9.0.1.1/25" is not a CIDR'],
      [{ cidr, bridges: { cni: '9.0.2.0/25' } }, 'bridges\\.cni', 'a part of the block 9.0.1.0/24'],
      [{ cidr, bridges: { docker: '9.0.0.0/23' } }, 'bridges\\.docker', 'a part of the block 9.0.1.0/24'],
    ] as const) {
      const words = await of(subnet);
      expect(words).toMatch(new RegExp(`${at}\\.${where}: `));
      expect(words).toContain(says);
    }
    // the maximum number
    const networks = spread(256, (i) => ({
      name: name(i),
      subnets: spread(8, (j) => ({
        cidr: `fd01:b:1111:2222:3333:4444:5555:${j + 1}000/116`,
        bridges: {
          cni: `fd01:b:1111:2222:3333:4444:5555:${j + 1}000/117`,
          docker: `fd01:b:1111:2222:3333:4444:5555:${j + 1}800/117`,
        },
      })),
    }));
    expect(await refusal(plane.client, allocation({ networks }, 'ovt-blocks'))).toBeUndefined();
    await plane.client.delete(resource, 'ovt-blocks');
  });

  test('never moves a page', async () => {
    const name = 'net-dcos-23';
    await stored(ledger(name, { page: page() }));
    const of = (more: Record<string, unknown>) => refusal(plane.client, ledger(name, { page: page(more) }));
    expect(await of({ first: 512 })).toMatch(
      /spec\.page\.first: .*first is immutable: it is 256 and cannot become 512/,
    );
    expect(await of({ space: '10.0.0.0/8' })).toMatch(
      /spec\.page\.space: .*space is immutable: it is 9\.0\.0\.0\/8 and cannot become 10\.0\.0\.0\/8/,
    );
    expect(await of({ retired: true })).toBeUndefined();
  });

  test('never decreases nextPage', async () => {
    const of = (nextPage: number) =>
      refusal(plane.client, ledger('spaces', { index: { nextPage, spaces: [] } }));
    await stored(ledger('spaces', { index: { nextPage: 7, spaces: [] } }));
    expect(await of(8)).toBeUndefined();
    expect(await of(6)).toMatch(/spec\.index\.nextPage: .*nextPage 6 must not be lower than the present 7/);
  });

  test('revives a retired page, and fills it', async () => {
    const name = 'net-abcdefghijklm-17';
    await stored(ledger(name, { page: page({ retired: true }) }));
    const blocks = spread(256, (i) => block(256 + i, { node: 'n'.repeat(253), uid: 'u'.repeat(36) }));
    expect(await refusal(plane.client, ledger(name, { page: page({ blocks }) }))).toBeUndefined();
  });

  test('of status keeps spec, and of spec keeps status', async () => {
    const resource = resourceOf('OverlayNetwork');
    await stored(network({}, 'ovt-status'));
    const agents = { allocated: 3, ready: 2, failed: 1, waiting: 0 };
    await plane.client.patch(
      resource,
      'ovt-status',
      { spec: { enabled: false }, status: { agents } },
      { type: 'merge', subresource: 'status' },
    );
    await plane.client.patch(resource, 'ovt-status', { status: { agents: null } }, { type: 'merge' });
    expect(await plane.client.get(resource, 'ovt-status')).toMatchObject({
      spec: { enabled: true },
      status: { agents },
    });
  });
});

test('a second network of the same name is refused', async () => {
  await stored(network({}, 'ovt-twice'));
  const again = plane.client.create(resourceOf('OverlayNetwork'), {
    apiVersion,
    ...network({}, 'ovt-twice'),
  });
  await expect(again).rejects.toMatchObject({ constructor: ApiError, reason: 'AlreadyExists' });
});
