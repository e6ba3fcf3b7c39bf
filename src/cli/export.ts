import { stateOf } from '../api/state.ts';
import { agentAllocations, overlayAgents, overlayConfigs, overlayNetworks } from '../kube/resources.ts';
import type { Access } from './access.ts';
import { CommandFailure } from './failure.ts';
import type { Output } from './output.ts';
import { harmlessJSON } from './text.ts';

/**
 * `export`: prints a config.yaml, or the state document.
 * @returns 0; 1 if DC/OS cannot express something
 */
export async function exportConfig(
  access: Access,
  { state = false }: { state?: boolean },
  out: Output,
): Promise<number> {
  if (state) return exportState(access, out);
  const { toConfig } = await import('../import/export.ts');
  const [config, networks] = await access.api(async (client) => [
    await client.get(overlayConfigs, 'default'),
    (await client.list(overlayNetworks)).items,
  ]);
  if (config === undefined) throw noConfig();
  const { text, lost } = toConfig(config.spec, networks);
  out.line(text.trimEnd());
  for (const one of lost) out.warn(`not in config.yaml: ${one}`);
  return lost.length > 0 ? 1 : 0;
}

/** What an operator's /overlay-master/state answers, from the objects themselves. */
async function exportState(access: Access, out: Output): Promise<number> {
  const [config, networks, allocations, agents] = await access.api((client) =>
    Promise.all([
      client.get(overlayConfigs, 'default'),
      client.list(overlayNetworks),
      client.list(agentAllocations),
      client.list(overlayAgents),
    ]),
  );
  if (config === undefined) throw noConfig();
  const byName = new Map(agents.items.map((agent) => [agent.metadata.name, agent]));
  out.line(harmlessJSON(stateOf(config, networks.items, allocations.items, (node) => byName.get(node))));
  return 0;
}

const noConfig = () =>
  new CommandFailure(
    'there is no OverlayConfig default',
    'the operator creates it within seconds: is one running?',
  );
