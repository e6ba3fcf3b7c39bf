import { version, type Access } from './access.ts';
import { skew } from './list.ts';
import type { Output } from './output.ts';
import { harmless, harmlessJSON } from './text.ts';

/**
 * `version`.
 * @throws CommandFailure if the operator cannot be asked; the versions that are known have been printed by then
 */
export async function showVersion(
  access: Access,
  { client, output }: { client?: boolean; output?: 'json' },
  out: Output,
): Promise<number> {
  if (output === undefined) out.line(`command   ${version}`);
  if (client !== true) await access.page('networks', { limit: '1' });
  const operator = access.operatorVersion;
  if (output === 'json')
    out.line(harmlessJSON({ command: version, ...(client === true ? {} : { operator }) }));
  else if (client !== true) out.line(harmless(`operator  ${operator ?? ''}`));
  skew(access, out);
  return 0;
}
