import { overlayConfigs, overlayNetworks } from '../kube/resources.ts';
import type { Access } from './access.ts';
import { Failure } from './failure.ts';
import type { Output } from './output.ts';

/** `export`: prints a config.yaml. @returns 0; 1 where DC/OS has no words for something */
export async function exportConfig(access: Access, out: Output): Promise<number> {
  const { toConfig } = await import('../import/export.ts');
  const [config, networks] = await access.api(async (client) => [
    await client.get(overlayConfigs, 'default'),
    (await client.list(overlayNetworks)).items,
  ]);
  if (config === undefined)
    throw new Failure(
      'there is no OverlayConfig default',
      'the operator creates it within seconds: is one running?',
    );
  const { text, lost } = toConfig(config.spec, networks);
  out.line(text.trimEnd());
  for (const one of lost) out.warn(`not in config.yaml: ${one}`);
  return lost.length > 0 ? 1 : 0;
}
