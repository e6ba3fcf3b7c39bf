import { apply, get, kubectl, tool, workers } from '../support/e2e.ts';
import {
  addressesOf,
  addressOf,
  eventsOf,
  host,
  makeNamespace,
  network,
  networkReady,
  pod,
  ready,
  service,
} from '../support/e2e-objects.ts';
import { eventually, found } from '../support/eventually.ts';

const namespace = 'ovt-networks';
const chosen = 'ovt-chosen';
const [here, there] = workers;
const exec = (name: string, words: string) => tool(name, words, namespace);

/** Patterns of each network's addresses. */
const networks = { dcos: /^9\./, dcos6: /^fd01:b:/, dual: /^10\.101\.|^fd02:101:/ };

beforeAll(async () => {
  await apply(
    network('dual', ['10.101.0.0/16 /24', 'fd02:101::/48 /64']),
    network('few', ['10.103.0.0/16 /24'], { namespaceSelector: { matchLabels: { team: 'few' } } }),
    network('off', ['10.104.0.0/16 /24'], { enabled: false }),
  );
  await networkReady('dual', 'few');
  await makeNamespace(namespace);
  await makeNamespace(chosen, { 'overlaynet.dev/network': 'dual' });
  await apply(
    ...Object.keys(networks).flatMap((name) => [
      pod(`${name}-here`, { namespace, node: here, network: name }),
      pod(`${name}-there`, { namespace, node: there, network: name, labels: { app: name } }),
    ]),
    pod('several', { namespace, node: here, network: 'dcos,dcos6' }),
    pod('by-namespace', { namespace: chosen }),
    pod('by-itself', { namespace: chosen, network: 'dcos' }),
    service('dual', namespace, { ipFamilyPolicy: 'RequireDualStack' }),
    service('dcos6', namespace, { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv6'] }),
  );
  const names = Object.keys(networks).flatMap((name) => [`${name}-here`, `${name}-there`]);
  await ready(namespace, ...names, 'several');
  await ready(chosen, 'by-namespace', 'by-itself');
});

describe.each(Object.entries(networks))('network %s', (name, pattern) => {
  test('gives its addresses to pods that ask for it', async () => {
    for (const one of [`${name}-here`, `${name}-there`]) {
      const addresses = await addressesOf(namespace, one);
      expect(addresses).toHaveLength(name === 'dual' ? 2 : 1);
      for (const address of addresses) expect(address).toMatch(pattern);
    }
  });

  test('connects them across nodes', async () => {
    for (const address of await addressesOf(namespace, `${name}-there`))
      expect(await exec(`${name}-here`, `get http://${host(address)}:8080/`)).toMatch(
        new RegExp(`^${name}-there `),
      );
  });
});

test('a pod of one network reaches a pod of another: networks are open unless they say otherwise', async () => {
  const address = await addressOf(namespace, 'dcos-there');
  expect(await exec('dual-here', `get http://${address}:8080/`)).toMatch(/^dcos-there /);
});

test('a dual-stack Service answers on both its addresses, by name and by each', async () => {
  const { spec } = await get<{ spec: { clusterIPs: string[] } }>(`-n ${namespace} service dual`);
  expect(spec.clusterIPs).toHaveLength(2);
  for (const address of spec.clusterIPs)
    await eventually(
      async () => (await exec('dual-here', `get http://${host(address)}/`)).startsWith('dual-there '),
      found,
      { what: `the Service at ${address}`, seconds: 30 },
    );
  expect((await exec('dual-here', 'lookup dual')).split('\n').sort()).toEqual([...spec.clusterIPs].sort());
});

test('an IPv6 Service answers pods of an IPv6 network', async () => {
  const { spec } = await get<{ spec: { clusterIP: string } }>(`-n ${namespace} service dcos6`);
  await eventually(
    async () => (await exec('dcos6-here', `get http://[${spec.clusterIP}]/`)).startsWith('dcos6-there '),
    found,
    { what: 'the Service', seconds: 30 },
  );
});

test('a pod of two networks has eth0 with its podIP in the first and eth1 in the second; both work', async () => {
  expect(await addressesOf(namespace, 'several')).toEqual([expect.stringMatching(/^9\./)]);
  const links = (await exec('several', 'address')).split('\n');
  expect(links).toContainEqual(expect.stringMatching(/^eth0 9\./));
  const second = links.find((line) => /^eth1 fd01:b:/.test(line))!;
  expect(second).toBeDefined();
  const address = second.slice(5).replace(/\/.*/, '');
  expect(await exec('dcos6-there', `get http://[${address}]:8080/`)).toMatch(/^several /);
  const four = await addressOf(namespace, 'dcos-there');
  expect(await exec('several', `get http://${four}:8080/`)).toMatch(/^dcos-there /);
  const six = await addressOf(namespace, 'dcos6-there');
  expect(await exec('several', `get http://[${six}]:8080/`)).toMatch(/^dcos6-there /);
});

test('a namespace’s annotation is its pods’ default, and a pod’s own annotation overrides it', async () => {
  expect((await addressesOf(chosen, 'by-namespace')).every((one) => networks.dual.test(one))).toBe(true);
  expect(await addressOf(chosen, 'by-itself')).toMatch(networks.dcos);
});

describe('kubectl describe pod says why a pod gets no network and what to do', () => {
  test.each([
    ['unknown', 'nonesuch', /there is no network nonesuch.*networks in force: .*dcos, dcos6/],
    ['forbidden', 'few', /namespace ovt-networks may not use network few.*team.*label the namespace/],
    ['disabled', 'off', /network off is not in force/],
    ['malformed', 'Not/A Name', /overlaynet\.dev\/network.*Not\/A Name/],
  ])('%s', async (name, annotation, words) => {
    await apply(pod(name, { namespace, node: here, network: annotation }));
    await eventually(async () => words.test(await eventsOf(namespace, name)), found, {
      what: 'the event',
      seconds: 30,
    });
    await kubectl(`delete pod -n ${namespace} ${name} --wait=false`);
  });
});

test('pods of a namespace that a network’s namespaceSelector selects may use the network', async () => {
  await kubectl(`label namespace ${chosen} team=few`);
  await apply(pod('one-of-few', { namespace: chosen, network: 'few' }));
  await ready(chosen, 'one-of-few');
  expect(await addressOf(chosen, 'one-of-few')).toMatch(/^10\.103\./);
});

afterAll(async () => {
  await kubectl(`delete namespace ${namespace} ${chosen}`);
  await kubectl('delete overlaynetwork dual few off');
});
