import { parseAttachment } from '../../../src/dataplane/attachment.ts';
import { attachment } from '../../support/fixture.ts';

const text = (changes: object) => JSON.stringify({ ...attachment(), ...changes });
const port = (changes: object) => text({ interfaces: [{ ...attachment().interfaces[0], ...changes }] });

test('a record is read as the plugin writes it', () => {
  expect(parseAttachment(JSON.stringify(attachment()))).toEqual(attachment());
});

test('an incomplete record is valid, too', () => {
  const first = { ...attachment(), namespace: undefined, pod: undefined, interfaces: [] };
  expect(parseAttachment(JSON.stringify(first))).toMatchObject({ containerID: 'cafe', interfaces: [] });
  expect(parseAttachment(text({ interfaces: null }))).toMatchObject({ interfaces: [] });
  const { network, name, host, bridge } = attachment().interfaces[0]!;
  expect(parseAttachment(text({ interfaces: [{ network, name, host, bridge }] }))).toMatchObject({
    interfaces: [{ mac: '', addresses: [] }],
  });
});

test.each([
  ['half a file', '{"version":1', /JSON/],
  ['nothing', '', /JSON/],
  ['null', 'null', 'its version is not 1'],
  ['another version', text({ version: 2 }), 'its version is not 1'],
  ['no container', text({ containerID: '' }), 'conflist, containerID, ifname or netns is missing'],
  ['no list', text({ interfaces: {} }), 'interfaces is no list'],
  [
    'an interface that is none',
    text({ interfaces: [7] }),
    'network, name or bridge of an interface is missing',
  ],
  ['a foreign link', port({ host: 'eth0' }), 'an interface\'s host "eth0" is not one of ours'],
  ['a link with more in it', port({ host: 'c-0123456789ab; x' }), /is not one of ours$/],
  ['a MAC that is none', port({ mac: 'ff' }), 'the mac of c-0123456789ab is no hardware address'],
  ['an address that is none', port({ addresses: ['9.0.1.2/25'] }), 'an address of c-0123456789ab is invalid'],
])('%s is no record', (_, file, why) => {
  expect(parseAttachment(file)).toEqual(typeof why === 'string' ? why : expect.stringMatching(why));
});
