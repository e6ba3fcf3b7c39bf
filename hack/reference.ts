import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { referencePages } from './reference/pages.ts';
import { page, renderReference } from './reference/render.ts';

/** `npm run reference`: writes docs/reference/api.md from the CRDs, http.md from openapi.json, and command.md from the command's help. */

const file = fileURLToPath(page);
writeFileSync(file, await format(renderReference(), { ...(await resolveConfig(file)), filepath: file }));
for (const [name, text] of await referencePages()) writeFileSync(new URL(name, page), text);
