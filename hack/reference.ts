import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { prometheusRule, ruleFile } from './reference/monitoring.ts';
import { referencePages } from './reference/pages.ts';
import { page, renderReference } from './reference/render.ts';

/** `npm run reference`: writes docs/reference/api.md from the CRDs, http.md from openapi.json, command.md from the command's help, and the PrometheusRule from deploy/monitoring/rules.yaml. */

const file = fileURLToPath(page);
writeFileSync(file, await format(renderReference(), { ...(await resolveConfig(file)), filepath: file }));
for (const [name, text] of await referencePages()) writeFileSync(new URL(name, page), text);
writeFileSync(ruleFile, await prometheusRule());
