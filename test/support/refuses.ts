import { fileURLToPath } from 'node:url';
import type { ControlPlane } from './controlplane.ts';
import { refusal, type Manifest } from './dryrun.ts';

/** What is wrong, the object, and what the API server must say: the field, the value, the rule. */
export type Case = [what: string, object: Manifest, says: string[]];

/** Text that would do something, were it ever handed to a shell. */
export const shellTexts = [
  '$(reboot)',
  '`reboot`',
  '; reboot',
  '| reboot',
  "'reboot'",
  '&& reboot',
  '> /reboot',
  '\nreboot',
];

export async function installCrds(plane: ControlPlane): Promise<void> {
  const directory = fileURLToPath(new URL('../../crds', import.meta.url));
  await plane.kubectl('apply', '--server-side', '--force-conflicts', '-k', directory);
  await plane.kubectl('wait', '--for=condition=Established', '--timeout=20s', 'crd', '--all');
}

/** One test a case. */
export function refuses(plane: () => ControlPlane, cases: Case[]): void {
  test.each(cases)('%s', async (_, object, says) => {
    const words = await refusal(plane().client, object);
    expect(words).toBeDefined();
    for (const part of says) expect(words).toContain(part);
    // a rule that breaks on its input would refuse too, without a word that helps
    expect(words).not.toContain('evaluation error');
    expect(words).not.toContain('messageExpression');
  });
}
