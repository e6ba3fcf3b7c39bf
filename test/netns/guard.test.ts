import type { Attachment } from '../../src/dataplane/attachment.ts';
import { DataPath } from '../../src/linux/datapath.ts';
import type { Run } from '../../src/linux/run.ts';
import { silent } from '../../src/log.ts';
import { cluster, nodeAddresses } from '../support/cluster.ts';
import { Netns } from '../support/netns.ts';
import { attachment } from '../support/fixture.ts';

const table = 'bridge overlaynet';
const port = '"c-0123456789ab"';
const element4 = `${port} . 0a:58:09:00:01:02 . 9.0.1.2`;

let netns: Netns;
let path: DataPath;
let records: { attachments: Attachment[]; problems: string[] };
const processes: string[] = [];

beforeEach(async () => {
  netns = await Netns.create();
  records = { attachments: [attachment()], problems: [] };
  const counting: Run = (program, args, options) => {
    processes.push([program, ...args].join(' '));
    return netns.run(program, args, options);
  };
  path = new DataPath({ log: silent, run: counting, attachments: () => records });
  await netns.sh('ip link add eth0 type veth peer name wire');
  await netns.sh(`ip addr add ${nodeAddresses(0)[0]!}/16 dev eth0`);
  await netns.sh(`ip addr add ${nodeAddresses(0)[1]!}/64 dev eth0 nodad`);
  await netns.sh('ip link set eth0 up');
  expect(await reconcile()).toMatchObject({ failures: [] });
});
afterEach(() => netns.delete());

function reconcile() {
  processes.length = 0;
  return path.reconcile(cluster(2, 0));
}
const listing = () => netns.sh(`nft list table ${table}`);
const nft = (...lines: string[]) => netns.sh('nft -f -', `${lines.join('\n')}\n`);
/** Removes counters, so that only the rules are compared. */
const shape = (text: string) => text.replace(/packets \d+ bytes \d+/g, '');

test('each address of a container gets an element, and a second pass changes nothing', async () => {
  const made = await listing();
  expect(made).toContain(element4);
  expect(made).toContain(`${port} . 0xa5809000102 . 0xfe80000000000000085809fffe000102`);
  expect(await reconcile()).toMatchObject({ changes: 0, failures: [] });
  expect(processes.filter((line) => line.startsWith('nft'))).toEqual([
    `nft -j list table ${table}`,
    'nft -j list table inet overlaynet',
  ]);
  expect(await listing()).toBe(made);
});

test.each([
  ['the whole rule set is flushed', 'flush ruleset'],
  ['the table is deleted', `delete table ${table}`],
  ['its rules are flushed', `flush table ${table}`],
  ['a set is emptied', `flush set ${table} ports6`],
  ['an element goes', `delete element ${table} ports4 { ${element4} }`],
  ['a rule lets everything pass', `insert rule ${table} container accept`],
  ['a foreign chain is in it', `add chain ${table} mine { type filter hook prerouting priority -400; }`],
])('one pass restores it when %s', async (_, damage) => {
  const made = shape(await listing());
  await nft(damage);
  expect(await reconcile()).toMatchObject({ failures: [] });
  // one read of each of our tables and a change of those that differ; iptables' own tables are not counted
  expect(processes.filter((line) => /^nft -[jf] /.test(line))).toHaveLength(
    damage === 'flush ruleset' ? 4 : 3,
  );
  expect(shape(await listing())).toBe(made);
  expect(await reconcile()).toMatchObject({ changes: 0 });
});

test('a chain with a wrong hook is moved to the right one', async () => {
  await nft(
    `flush chain ${table} prerouting`,
    `delete chain ${table} prerouting`,
    `add chain ${table} prerouting { type filter hook prerouting priority 100; }`,
  );
  expect(await reconcile()).toMatchObject({ changes: 1, failures: [] });
  expect(await listing()).toContain('priority dstnat - 10; policy accept');
});

test('a pass removes the elements of a container that ended, and keeps foreign tables', async () => {
  await nft('add table bridge mine', 'add chain bridge mine x', 'add rule bridge mine x drop');
  const mine = await netns.sh('nft list table bridge mine');
  records.attachments = [];
  // two in its sets, one in the set of containers' addresses
  expect(await reconcile()).toMatchObject({ changes: 3, failures: [] });
  expect(await listing()).not.toContain(port);
  expect(await netns.sh('nft list table bridge mine')).toBe(mine);
});

test('an element stays while its record cannot be read', async () => {
  records = { attachments: [], problems: ['cafe-eth0.json: Unexpected end of JSON input'] };
  expect(await reconcile()).toMatchObject({ changes: 0, failures: [] });
});

test.each([
  ['at our tables', 'bridge'],
  ['at the last of them', 'inet'],
])(
  'a container that starts while a pass looks %s keeps its elements: its record is written first',
  async (_, place) => {
    const late = 'c-aaaaaaaaaaaa';
    const [one] = attachment().interfaces;
    const come = async () => {
      const interfaces = [{ ...one!, host: late, mac: '0a:58:09:00:01:03', addresses: ['9.0.1.3'] }];
      records.attachments = [attachment(), attachment({ containerID: 'late', interfaces })];
      await nft(
        `add element ${table} ports4 { "${late}" . 0a:58:09:00:01:03 . 9.0.1.3 }`,
        'add element inet overlaynet leased4 { 9.0.1.3 }',
      );
    };
    const run: Run = async (program, args, options) => {
      if (program === 'nft' && args.includes(place)) await come();
      return netns.run(program, args, options);
    };
    // a copy, so that the records that were read stay as they were
    const racing = new DataPath({ log: silent, run, attachments: () => ({ ...records }) });
    expect(await racing.reconcile(cluster(2, 0))).toMatchObject({ failures: [] });
    expect(await listing()).toContain(late);
    expect(await netns.sh('nft list set inet overlaynet leased4')).toContain('9.0.1.3');
  },
);

test('a pass succeeds if an element disappears before it removes it', async () => {
  const run: Run = async (program, args, options) => {
    if (program === 'nft' && args.includes('-f')) await nft(`flush set ${table} ports4`);
    return netns.run(program, args, options);
  };
  const racing = new DataPath({ log: silent, run });
  expect(await racing.reconcile(cluster(2, 0))).toMatchObject({ changes: 3, failures: [] });
  expect(await listing()).not.toContain(port);
});

test('without nft, the pass says what to install', async () => {
  const run: Run = (program, args, options) =>
    netns.run(program === 'nft' ? '/nowhere/nft' : program, args, options);
  const { failures } = await new DataPath({ log: silent, run }).reconcile(cluster(2, 0));
  expect(failures.map(({ message }) => message).join()).toContain('nft');
});

test('cleanup removes the table, and a second cleanup succeeds', async () => {
  await path.cleanup();
  expect(await netns.sh('nft list tables')).not.toContain('overlaynet');
  expect(await path.cleanup()).toMatchObject({ changes: 0, failures: [] });
});
