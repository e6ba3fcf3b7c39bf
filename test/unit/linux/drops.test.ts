import { cluster } from '../../support/cluster.ts';
import { desired } from '../../../src/dataplane/desired.ts';
import { nameOf } from '../../../src/dataplane/chains.ts';
import { addDrops, countedIn, readDrops, type Drops } from '../../../src/linux/drops.ts';
import type { Run } from '../../../src/linux/run.ts';

const none = (): Drops => ({ spoofing: 0, injection: 0, isolation: 0, scanning: 0, unpublished: 0 });

const isolated = desired(
  cluster(3, 0, {
    networks: [
      {
        name: 'dcos',
        subnets: [{ cidr: '9.0.0.0/8', prefix: 24 }],
        isolation: { mode: 'Isolated', hosts: 'Deny' },
      },
    ],
  }),
)!;

/** A kernel that shows each wanted rule with a counter of its own. */
const kernel =
  (asked: string[]): Run =>
  (program, args) => {
    asked.push([program, ...args].join(' '));
    if (program === 'nft') {
      const rule = { expr: [{ counter: { packets: 3, bytes: 180 } }, { drop: null }] };
      return Promise.resolve({
        stdout: JSON.stringify({ nftables: [{ rule }, { set: {} }] }),
        stderr: '',
        code: 0,
      });
    }
    const chain = isolated.chains[program.startsWith('ip6') ? 6 : 4].find(
      (one) => one.table === args[3] && nameOf(one) === args.at(-1),
    );
    const rules = (chain?.rules ?? []).map((rule) => `-A ${args.at(-1) ?? ''} ${rule}`);
    const stdout = ['-N X', ...rules.map((rule) => rule.replace(/( -j \S+)/, ' -c 2 120$1'))].join('\n');
    return Promise.resolve({ stdout, stderr: '', code: 0 });
  };

test('the drops of each rule count for its guard', async () => {
  const asked: string[] = [];
  const drops = await readDrops(kernel(asked), 'nft', isolated.chains);
  const dropping = [...isolated.chains[4], ...isolated.chains[6]].flatMap(({ table, rules }) =>
    rules.filter((rule) => rule.endsWith('-j DROP')).map((rule) => ({ table, rule })),
  );
  const iptables = drops.spoofing + drops.injection + drops.isolation + drops.unpublished - 3;
  expect(iptables).toBe(dropping.length * 2);
  const ofTunnel = dropping.filter(({ rule }) => rule.includes('--dport 64000'));
  expect(ofTunnel.length).toBeGreaterThan(4);
  expect(drops.injection).toBe(ofTunnel.length * 2);
  expect(drops.unpublished).toBe(dropping.filter(({ table }) => table === 'filter').length * 2);
  expect(drops.scanning).toBe(3);
  expect(asked).toContain('iptables-nft -w 2 -t mangle -v -S OVERLAYNET-FORWARD');
  expect(asked).toContain('nft -j list table bridge overlaynet');
});

test('a missing chain counts nothing', async () => {
  const gone: Run = () =>
    Promise.resolve({ stdout: '', stderr: 'Error: No such file or directory', code: 1 });
  expect(await readDrops(gone, 'legacy', isolated.chains)).toEqual(none());
});

test('rules that let packets pass count nothing', () => {
  const drops = none();
  addDrops(
    drops,
    'mangle',
    '-A X -m conntrack --ctstate RELATED,ESTABLISHED -c 9 9 -j RETURN\n-P X ACCEPT -c 7 7',
  );
  expect(drops).toEqual(none());
  expect(countedIn('{"nftables":[{"rule":{"expr":[{"accept":null}]}},{"chain":{"name":"a"}}]}')).toBe(0);
});
