import { closedNetworks } from '../../../src/containers/closed.ts';
import type { OverlayNetwork } from '../../../src/api/types.ts';
import type { Failure } from '../../../src/dataplane/state.ts';

const network = (name: string, isolation?: OverlayNetwork['spec']['isolation']) => ({
  metadata: { name },
  spec: {
    subnets: [],
    ...(isolation === undefined ? {} : { isolation }),
  } as unknown as OverlayNetwork['spec'],
});

const networks = [network('open'), network('shut', { mode: 'Isolated' }), network('new')];
const closed = (failure: Partial<Failure>) =>
  [...closedNetworks(networks, [{ message: 'no', ...failure }], new Set(['open', 'shut'])).keys()].sort();

test.each<[string, Partial<Failure>, string[]]>([
  ['concerns all: what never worked', {}, ['new']],
  ['concerns one that worked: nothing', { network: 'open' }, []],
  ['concerns one that never worked: that one', { network: 'new' }, ['new']],
  ['is of rules: isolated networks, too', { rules: true }, ['new', 'shut']],
  ["is of an isolated network's rules: that one", { rules: true, network: 'shut' }, ['shut']],
  ['is of a removal: nothing', { leftover: true }, []],
  ["is of a new network's removal: nothing", { leftover: true, network: 'new' }, []],
])('a failure that %s', (_, failure, names) => {
  expect(closed(failure)).toEqual(names);
});
