import { messageOf } from '../error.ts';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Finding } from '../import/finding.ts';
import type { DcosConfig } from '../import/model.ts';
import { Failure } from './failure.ts';
import type { Output } from './output.ts';
import { harmless, harmlessJSON } from './text.ts';
import { yamlPrinter } from './yaml.ts';

/** `import`: prints the objects. @returns 0; 1 where something is not kept; 2 where it is refused, and nothing is printed */
export async function importConfig(
  { config: files, output }: { config: string[]; output: 'yaml' | 'json' },
  out: Output,
): Promise<number> {
  const { Findings, findingText } = await import('../import/finding.ts');
  const { decode } = await import('../import/mend.ts');
  const { readConfig } = await import('../import/config.ts');
  const { combine } = await import('../import/combine.ts');
  const { toObjects } = await import('../import/objects.ts');
  const read: { config: DcosConfig; findings: InstanceType<typeof Findings> }[] = [];
  const all: Finding[] = [];
  for (const file of files) {
    const findings = new Findings(path.basename(file));
    const text = decode(await bytesOf(file), findings);
    const config = text === undefined ? undefined : readConfig(text, findings);
    if (config !== undefined) read.push({ config, findings });
    all.push(...findings.all);
    findings.all.length = 0;
  }
  const [first] = read;
  const whole = read.length === files.length ? combine(read) : undefined;
  const objects = whole === undefined || first === undefined ? undefined : toObjects(whole, first.findings);
  for (const { findings } of read) all.push(...findings.all);
  for (const finding of all) out.note(findingText(finding));
  const refused = all.filter(({ weight }) => weight === 'refusal').length;
  if (refused > 0 || objects === undefined) {
    out.note(`nothing is imported: ${refused} ${refused === 1 ? 'thing is' : 'things are'} refused`);
    return 2;
  }
  const list = [objects.config, ...objects.networks];
  if (output === 'json') out.line(harmlessJSON({ apiVersion: 'v1', kind: 'List', items: list }));
  else {
    const print = await yamlPrinter();
    out.line(list.map(print).join('\n---\n'));
  }
  return all.some(({ weight }) => weight === 'lost') ? 1 : 0;
}

async function bytesOf(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new Failure(
      `${harmless(file)} cannot be read: ${messageOf(error)}`,
      'give --config the config.yaml that DC/OS was installed with',
      error,
    );
  }
}
