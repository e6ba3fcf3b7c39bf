import { Metrics } from '../../src/agent/metrics.ts';
import type { Caches } from '../../src/operator/caches.ts';
import { OperatorMetrics } from '../../src/operator/metrics.ts';

/** Returns the text of agent's and operator's `/metrics`, with every metric that they register. */
export async function registeredMetrics(): Promise<string> {
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
  const text = (await agent.render()).body + (await operator.render()).body;
  agent.stop();
  return text;
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
