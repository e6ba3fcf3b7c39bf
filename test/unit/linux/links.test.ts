import { parseLinkCounters } from '../../../src/linux/links.ts';

const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 100 2 0 0 0 0 0 0 100 2 0 0 0 0 0 0
vtep1024: 2176 28 1 2 0 0 0 0 12936 154 3 4 0 0 0 0
`;

test('the counters of a link are read by its name alone', () => {
  expect(parseLinkCounters(text, 'vtep1024')).toEqual({
    receive: { bytes: 2176, packets: 28, errors: 1, drops: 2 },
    transmit: { bytes: 12936, packets: 154, errors: 3, drops: 4 },
  });
  expect(parseLinkCounters(text, 'vtep102')).toBeUndefined();
  expect(parseLinkCounters(text, 'lo')?.receive.packets).toBe(2);
});
