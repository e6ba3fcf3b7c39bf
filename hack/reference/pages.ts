import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import pkg from '../../package.json' with { type: 'json' };
import { createProgram } from '../../src/cli/program.ts';
import { apiPage, type OpenAPI } from './api.ts';
import { commandPage } from './command.ts';
import { readTranscript } from './transcript.ts';

const dir = join(import.meta.dirname, '..', '..', 'docs', 'reference');

/** Returns the generated pages of docs/reference, by file name. */
export async function referencePages(): Promise<Map<string, string>> {
  const openapi = JSON.parse(readFileSync(join(dir, 'openapi.json'), 'utf8')) as OpenAPI;
  const pages = new Map([
    ['http.md', apiPage(openapi)],
    [
      'command.md',
      commandPage(
        createProgram(pkg.version, () => Promise.resolve(0)),
        readTranscript(),
      ),
    ],
  ]);
  const options = await resolveConfig(join(dir, 'http.md'));
  for (const [name, text] of pages) pages.set(name, await format(text, { ...options, parser: 'markdown' }));
  return pages;
}
