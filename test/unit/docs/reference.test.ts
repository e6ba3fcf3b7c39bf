import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { page, renderReference } from '../../../hack/reference/render.ts';

test('docs/reference/api.md says what the CRDs say: npm run reference writes it anew', async () => {
  const file = fileURLToPath(page);
  const wanted = await format(renderReference(), { ...(await resolveConfig(file)), filepath: file });
  expect(readFileSync(file, 'utf8')).toBe(wanted);
});
