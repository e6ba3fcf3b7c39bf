import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { page, renderReference } from './reference/render.ts';

/** `npm run reference`: writes docs/reference/api.md from the CRDs. */

const file = fileURLToPath(page);
writeFileSync(file, await format(renderReference(), { ...(await resolveConfig(file)), filepath: file }));
