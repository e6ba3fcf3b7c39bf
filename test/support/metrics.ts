import type { Registry } from 'prom-client';
import { Metrics } from '../../src/agent/metrics.ts';
import type { Caches } from '../../src/operator/caches.ts';
import { OperatorMetrics } from '../../src/operator/metrics.ts';

/** Metrics of an agent and of an operator, with all that they register. `stop` ends them. */
function registered(): { registries: [agent: Registry, operator: Registry]; stop: () => void } {
  const agent = new Metrics('0');
  agent.followInformers(() => []);
  agent.followNode({
    tunnel: () => undefined,
    certificate: () => undefined,
    drops: () => Promise.resolve(undefined),
  });
  const operator = new OperatorMetrics('0');
  operator.watch({ all: [] as readonly never[], synced: false } as unknown as Caches);
  operator.serve({}, () => undefined);
  return {
    registries: [agent.registry, operator.registry],
    stop: () => {
      agent.stop();
    },
  };
}

/** Returns the text of the agent's and of the operator's `/metrics`. */
export async function answersOfMetrics(): Promise<[agent: string, operator: string]> {
  const { registries, stop } = registered();
  const [agent, operator] = registries;
  const texts: [string, string] = [await agent.metrics(), await operator.metrics()];
  stop();
  return texts;
}

/** Returns both in one text. */
export const registeredMetrics = async (): Promise<string> => (await answersOfMetrics()).join('');

/** Returns the labels of each metric that agent and operator register, by name. */
export function registeredLabels(): Map<string, string[]> {
  const { registries, stop } = registered();
  const all = registries.flatMap((registry) =>
    registry.getMetricsAsArray().map(({ name }) => {
      // prom-client does not declare the property
      const { labelNames = [] } = registry.getSingleMetric(name) as unknown as { labelNames?: string[] };
      return [name, labelNames] as const;
    }),
  );
  stop();
  return new Map(all);
}

/** Returns the sample names that a text in Prometheus' format may have; a histogram has three. */
export function sampleNames(text: string): Set<string> {
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)/gm)];
  return new Set(
    types.flatMap(([, name = '', type = '']) =>
      type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name],
    ),
  );
}
