import { Memory, plan } from '../../src/allocate/plan.ts';
import { Cluster, configSpec } from '../support/plancluster.ts';
import { ms, quantile, type Figure } from './table.ts';
import type { Size } from './scale.ts';

/** Returns the CPU milliseconds of `run` in this process, which a busy machine does not change. */
function cpu(run: () => void): number {
  const { user, system } = process.cpuUsage();
  run();
  const after = process.cpuUsage();
  return (after.user - user + after.system - system) / 1000;
}

const nameOf = (at: number) => `ip-172-18-${at >> 8}-${at & 255}.eu-central-1.compute.internal`;

/** Measures the plan alone, without an API server: a cluster in memory, whose writes succeed at once. */
export function simulated({ nodes, networks }: Size): Figure[] {
  const at = `${nodes} × ${networks} simulated`;
  const cluster = new Cluster();
  cluster.config = {
    metadata: { name: 'default' },
    spec: { ...configSpec, vtepSubnets: ['44.128.0.0/16', 'fd01:a::/64'] },
  };
  for (let number = 0; number < networks; number++) network(cluster, number);
  for (let number = 0; number < nodes; number++)
    cluster.join(nameOf(number), `172.18.${number >> 8}.${number & 255}`);
  const burst = cpu(() => cluster.settle());
  const memory = new Memory();
  const view = cluster.view();
  plan(view, memory);
  const atRest = quantile(
    Array.from({ length: 15 }, () => cpu(() => plan(cluster.view(), memory))),
    0.5,
  );
  const joins = Array.from({ length: 5 }, (_, number) => {
    cluster.join(`late-${number}`, `172.31.0.${number}`);
    return cpu(() => cluster.settle());
  });
  network(cluster, networks);
  const rollout = cpu(() => cluster.settle());
  const index = JSON.stringify(cluster.ledger.get('spaces')).length;
  const ledger = [...cluster.ledger.values()].reduce((sum, object) => sum + JSON.stringify(object).length, 0);
  const figure = (what: string, measured: string, bound = '', ok = true): Figure => ({
    what: `${at}: ${what}`,
    measured,
    bound,
    ok,
  });
  const small = nodes <= 5_000;
  return [
    figure('one plan at rest, CPU', ms(atRest), small ? '50 ms' : '', !small || atRest <= 50),
    figure('all plans of one join, CPU', ms(quantile(joins, 0.5))),
    figure('all plans of a burst of all nodes, CPU', ms(burst)),
    figure('all plans of a roll-out, CPU', ms(rollout)),
    figure(
      'ledger: objects, all, index',
      `${cluster.ledger.size}, ${mb(ledger)}, ${(index / 1000).toFixed(1)} KB`,
    ),
  ];
}

const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

function network(cluster: Cluster, number: number): void {
  cluster.network(`scale-${number}`, [{ cidr: `${60 + number}.0.0.0/8`, prefix: 24 }]);
}
