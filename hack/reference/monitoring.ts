import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { parse, stringify } from 'yaml';

const dir = join(import.meta.dirname, '..', '..', 'deploy', 'monitoring');
export const ruleFile = join(dir, 'prometheusrule.yaml');

/** Returns `rules.yaml` as a PrometheusRule, an object of the Prometheus operator. */
export async function prometheusRule(): Promise<string> {
  const spec = parse(readFileSync(join(dir, 'rules.yaml'), 'utf8')) as object;
  const object = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: {
      name: 'overlaynet',
      namespace: 'overlaynet-system',
      labels: { 'app.kubernetes.io/part-of': 'overlaynet' },
    },
    spec,
  };
  const text = `# made of rules.yaml by \`npm run reference\`: do not edit\n${stringify(object, { lineWidth: 0 })}`;
  return format(text, { ...(await resolveConfig(ruleFile)), parser: 'yaml' });
}
