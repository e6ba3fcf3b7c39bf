import { Judge } from '../../../src/agent/judge.ts';
import { SeenVersion } from '../../../src/report/registration.ts';
import { started } from '../../support/agentcluster.ts';

test('the agent does not believe objects that are older than those seen before, even if their versions are higher', () => {
  const { cluster } = started();
  let version = 100n;
  const handlers: (() => void)[] = [];
  const judge = new Judge({
    node: 'node2',
    seen: new SeenVersion(undefined),
    last: undefined,
    caches: {
      synced: true,
      refused: false,
      released: new Set(),
      configs: { get: () => cluster.config },
      get allocation() {
        return cluster.allocations.get('node2');
      },
      get versions() {
        return new Map([['agentallocations', version]]);
      },
      get cached() {
        const { config, networks, allocations } = cluster;
        return { config, networks: [...networks.values()], allocations: [...allocations.values()] };
      },
      onWentBack: (handler) => handlers.push(handler),
    },
  });
  judge.run();
  expect(judge.holding).toBeUndefined();
  version = 120n;
  cluster.withdraw('dcos');
  cluster.networks.delete('dcos');
  for (const handler of handlers) handler();
  judge.run();
  expect(judge.holding).toMatchObject({ status: 'True', reason: 'WentBack' });
  expect(judge.believed?.networks.map(({ metadata }) => metadata.name)).toEqual(['dcos', 'dcos6']);
});
