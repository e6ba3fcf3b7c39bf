import { readFileSync } from 'node:fs';
import { parseAsk } from '../../../src/containers/ask.ts';

const body = (changes: object) => JSON.stringify({ containerID: 'cafe', ifname: 'eth0', ...changes });

test('fields that the runtime fills are read, empty ones are absent, unknown ones are ignored', () => {
  const all = { namespace: 'default', pod: 'web-0.a', annotation: 'dcos, DCOS', network: '0net' };
  expect(parseAsk(body({ ...all, netns: '/var/run/netns/x', podUID: 'u', later: [1] }))).toEqual({
    containerID: 'cafe',
    ifname: 'eth0',
    ...all,
  });
  expect(parseAsk(body({ namespace: '', pod: '', annotation: '', network: '' }))).toEqual({
    containerID: 'cafe',
    ifname: 'eth0',
  });
});

test.each<[string, string, string]>([
  ['no JSON', '\u0000\u0001garbage', 'the request is not JSON'],
  ['nothing', '', 'the request is not JSON'],
  ['null', 'null', 'the request is no object'],
  ['a list', '[]', 'the request is no object'],
  ['a number for text', body({ namespace: 7 }), 'namespace is not text'],
  [
    'no container',
    body({ containerID: '' }),
    'containerID "" is invalid: only letters, digits, "_", "." and "-" are allowed',
  ],
  [
    'a container with a path',
    body({ containerID: '../x' }),
    'containerID "../x" is invalid: only letters, digits, "_", "." and "-" are allowed',
  ],
  [
    'a container too long',
    body({ containerID: 'x'.repeat(300) }),
    `containerID "${'x'.repeat(61)}..." is invalid: only letters, digits, "_", "." and "-" are allowed`,
  ],
  [
    'a pod with a path',
    body({ namespace: 'a', pod: '../../etc/passwd' }),
    'pod "../../etc/passwd" is not a DNS subdomain',
  ],
  ['a namespace with a path', body({ namespace: 'a/b' }), 'namespace "a/b" is not a DNS label'],
  [
    'an interface with a path',
    body({ ifname: '../eth0' }),
    'ifname "../eth0" is no name of an interface: at most 15 characters, no "/", ":" or space',
  ],
  [
    'an interface too long',
    body({ ifname: 'abcdefghijklmnop' }),
    'ifname "abcdefghijklmnop" is no name of an interface: at most 15 characters, no "/", ":" or space',
  ],
  [
    'a directory',
    body({ ifname: '..' }),
    'ifname ".." is no name of an interface: at most 15 characters, no "/", ":" or space',
  ],
  ['a conflist that someone edited', body({ network: 'a,b' }), 'network "a,b" is not a network\'s name'],
])('%s is refused in one line', (_, text, msg) => {
  expect(parseAsk(text)).toEqual({ code: 104, msg });
});

test("outside Kubernetes a container's name is no pod's", () => {
  expect(parseAsk(body({ pod: 'happy_turing' }))).toEqual({ containerID: 'cafe', ifname: 'eth0' });
});

test('of names of pods and namespaces it takes those that the plugin takes', () => {
  const file = new URL('../../../src/cni/testdata/podnames.json', import.meta.url);
  const names = JSON.parse(readFileSync(file, 'utf8')) as Record<
    'namespace' | 'pod',
    Record<'good' | 'bad', string[]>
  >;
  const taken = (fields: object) => !('code' in parseAsk(body(fields)));
  for (const [field, { good, bad }] of Object.entries(names)) {
    const asked = (name: string) => ({ namespace: 'shop', [field]: name });
    expect(good.filter((name) => !taken(asked(name)))).toEqual([]);
    expect(bad.filter((name) => taken(asked(name)))).toEqual([]);
  }
});
