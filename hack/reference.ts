import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
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
const program = new Command('npm run reference --').description(
  'Writes the generated pages of docs/reference, and the PrometheusRule.',
);
program.action(() => undefined);
program
  .command('command')
  .description('first types every command in a running lab, and stores what they print')
  .option('--lab <name>', 'name of the lab', 'overlaynet')
  .action(async ({ lab }: { lab: string }) => {
    writeFileSync(transcriptFile, `${JSON.stringify(await typeInLab(lab), undefined, 2)}\n`);
  });
await program.parseAsync();

const file = fileURLToPath(page);
writeFileSync(file, await format(renderReference(), { ...(await resolveConfig(file)), filepath: file }));
for (const [name, text] of await referencePages()) writeFileSync(new URL(name, page), text);
writeFileSync(ruleFile, await prometheusRule());
