import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { prometheusRule, ruleFile } from './reference/monitoring.ts';
import { referencePages } from './reference/pages.ts';
import { page, renderReference } from './reference/render.ts';
import { typeInLab } from './reference/stage.ts';
import { transcriptFile } from './reference/transcript.ts';

/**
 * `npm run reference` writes the generated pages of docs/reference (api.md from the CRDs, http.md from openapi.json,
 * command.md from the command's help and from what it printed in a lab) and the PrometheusRule from deploy/monitoring/rules.yaml.
 *
 * `npm run reference -- command --lab NAME` first types every command in that lab and stores what they print.
 */
const { positionals, values } = parseArgs({ allowPositionals: true, options: { lab: { type: 'string' } } });
if (positionals[0] === 'command')
  writeFileSync(
    transcriptFile,
    `${JSON.stringify(await typeInLab(values.lab ?? 'overlaynet'), undefined, 2)}\n`,
  );

const file = fileURLToPath(page);
writeFileSync(file, await format(renderReference(), { ...(await resolveConfig(file)), filepath: file }));
for (const [name, text] of await referencePages()) writeFileSync(new URL(name, page), text);
writeFileSync(ruleFile, await prometheusRule());
