import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pseudonyms } from '../../../src/cli/anonymise.ts';
import { leftOut, withoutFields, withoutSecrets } from '../../../src/cli/secrets.ts';
import { tarEnd, tarFile } from '../../../src/cli/tar.ts';

test('tar reads what is written, for all lengths of names and contents', () => {
  const dir = mkdtempSync(join(tmpdir(), 'ovt-tar-'));
  try {
    const files = new Map([
      ['a/empty', ''],
      ['a/b.txt', 'x'.repeat(511)],
      ['a/c.txt', 'é'.repeat(256)],
      [`a/${'d'.repeat(120)}/${'e'.repeat(90)}`, 'deep'],
    ]);
    const parts = [...files].flatMap(([path, text]) => tarFile(path, Buffer.from(text), 1_790_000_000));
    const archive = join(dir, 'x.tar');
    writeFileSync(archive, Buffer.concat([...parts, tarEnd()]));
    execFileSync('tar', ['-xf', archive, '-C', dir]);
    for (const [path, text] of files) expect(readFileSync(join(dir, path), 'utf8')).toBe(text);
    const long = Buffer.concat([
      ...tarFile(`a/${'f'.repeat(253)}/${'g'.repeat(253)}.log`, Buffer.from('!'), 1),
      tarEnd(),
    ]);
    writeFileSync(archive, long);
    const listed = execFileSync('tar', ['-tf', archive]).toString().trim();
    expect(listed).toMatch(/^a\/f+\/g+-[0-9a-f]{12}$|^a\/f+-[0-9a-f]{12}\/g+-[0-9a-f]{12}$/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

const jwt =
  'eyJhbGciOiJSUzI1NiIsImtpZCI6IkFCQyJ9.eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50In0.c2lnbmF0dXJl-x_y';

test.each([
  [`token ${jwt} refused`, jwt],
  [`authorization: Bearer abcdef0123456789`, 'abcdef0123456789'],
  ['password=hunter22 next', 'hunter22'],
  ['{"clientSecret":"s3cr3tvalue","a":1}', 's3cr3tvalue'],
  ['message="said \\"api_key\\": \\"k3yk3yk3y\\""', 'k3yk3yk3y'],
  ['-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\nabc=\n-----END EC PRIVATE KEY-----\nrest', 'MHcCAQEE'],
  ['https://user:pa55word@registry.example/x', 'pa55word'],
  ['join with abcdef.0123456789abcdef', '0123456789abcdef'],
  ['known-and-plain', 'known-and-plain'],
])('no secret of %s is left', (text, secret) => {
  const safe = withoutSecrets(text, ['known-and-plain']);
  expect(safe).not.toContain(secret);
  expect(safe).toContain(leftOut);
});

test('text that is not secret stays', () => {
  const text =
    '2026-01-01T00:00:00.000Z info agent lease 9.0.1.7 of node1 mac=70:b3:d5:80:00:02 sha256:0011 fd01:b::7 took 12 ms; secrets are not read';
  expect(withoutSecrets(text)).toBe(text);
});

test('fields that may hold secrets are left out of objects', () => {
  const object = {
    kind: 'Pod',
    status: { images: [{ names: ['PLANTED'] }] },
    metadata: {
      managedFields: [{ manager: 'x' }],
      annotations: { 'overlaynet.dev/network': 'dcos', 'example.org/note': 'PLANTED' },
    },
    spec: {
      containers: [
        {
          args: ['--level', 'debug', '--client-secret', 'PLANTED', '--token=PLANTED'],
          env: [
            { name: 'A', value: 'PLANTED' },
            { name: 'B', valueFrom: { fieldRef: {} } },
          ],
        },
      ],
    },
  };
  expect(withoutFields([object])).toEqual([
    {
      kind: 'Pod',
      status: {},
      metadata: { annotations: { 'overlaynet.dev/network': 'dcos', 'example.org/note': leftOut } },
      spec: {
        containers: [
          {
            args: ['--level', 'debug', '--client-secret', leftOut, `--token=${leftOut}`],
            env: [
              { name: 'A', value: leftOut },
              { name: 'B', valueFrom: { fieldRef: {} } },
            ],
          },
        ],
      },
    },
  ]);
  const rest = {
    automountServiceAccountToken: false,
    secretName: 'cert',
    token: 'PLANTED',
    note: `it is ${jwt}`,
  };
  expect(withoutFields(rest)).toEqual({ ...rest, token: leftOut, note: `it is ${leftOut}` });
  expect(withoutFields({ kind: 'Secret', data: { a: 'UExBTlRFRA==' } })).toEqual({
    kind: 'Secret',
    data: leftOut,
  });
});

test.each([
  ['no lease pod=old/gone-7', ['old', 'gone-7']],
  ['{"pod":"old/gone-7"}', ['old', 'gone-7']],
  ['output="said \\"namespace\\": \\"old\\""', ['old']],
  ['get pods/gone-7: 404 NotFound: pods "gone-7" not found', ['gone-7']],
  ['namespaces "old" not found', ['old']],
  ['used by pod old/gone-7 (node1, 9.0.1.5), pod old/gone-8 (node1, 9.0.1.6)', ['old', 'gone-7', 'gone-8']],
])('the names of what is gone are known from a text: %s', (text, gone) => {
  const names = new Pseudonyms([]);
  names.learn(text);
  for (const name of gone) expect(names.text(text)).not.toContain(name);
});

test.each([
  'cannot get resource "pods/log"',
  'namespace: must be of lower-case letters',
  'pods wait, 3 pods of 4',
])('no word of a sentence is taken for a name: %s', (text) => {
  const names = new Pseudonyms([]);
  names.learn(text);
  expect(names.text(text)).toBe(text);
});

test('each name has the same hash everywhere, and nothing else is hashed', () => {
  const names = new Pseudonyms(['overlaynet-system', 'overlaynet-agent-abcde']);
  names.add('ns', 'shop');
  names.add('pod', 'web-0');
  names.learn(
    '2026 warn agent no lease pod=old/gone-7 and "namespace":"team-a" of pod other/db.x-1, pods web',
  );
  const one = names.text('web-0');
  expect(one).toMatch(/^pod-[0-9a-f]{10}$/);
  const shop = names.text('shop');
  expect(
    names.text('pod shop/web-0 at web-0.shop.svc, k8s_web_web-0_shop_x, gone-7 old team-a db.x-1 other'),
  ).toMatch(
    new RegExp(
      `^pod ${shop}/${one} at ${one}\\.${shop}\\.svc, k8s_web_${one}_${shop}_x, pod-\\w+ ns-\\w+ ns-\\w+ pod-\\w+ ns-\\w+$`,
    ),
  );
  const same =
    'overlaynet-system/overlaynet-agent-abcde on node1 of default: webshop web-00 shopping 9.0.1.7';
  expect(names.text(same)).toBe(same);
  expect(names.value({ shop: ['web-0', 5] })).toEqual({ shop: [one, 5] });
  // another bundle has other hashes
  const other = new Pseudonyms([]);
  other.add('pod', 'web-0');
  expect(other.text('web-0')).not.toBe(one);
});
