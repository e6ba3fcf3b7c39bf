import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAttachment, type Attachment, type Attachments } from '../dataplane/attachment.ts';
import { attachmentsIn } from '../host/directories.ts';
import { readIfPresent } from '../host/file.ts';
import { isErrno, messageOf } from '../error.ts';

/** Name of the file in which the plugin keeps a record. */
export const recordFile = ({ containerID, ifname }: Pick<Attachment, 'containerID' | 'ifname'>): string =>
  `${containerID}:${ifname}.json`;

/** Reads the records in the order of their names. Locks and temporary files begin with a dot and are skipped. */
export function readAttachments(stateDir: string): Attachments {
  const dir = attachmentsIn(stateDir);
  const result: Attachments = { attachments: [], problems: [] };
  let files: string[];
  try {
    files = readdirSync(dir).filter((file) => /^[^.].*\.json$/.test(file));
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) result.problems.push(messageOf(error));
    return result;
  }
  for (const file of files.sort()) {
    try {
      const text = readIfPresent(join(dir, file));
      if (text === undefined) continue; // its container was just removed
      const read = parseAttachment(text);
      if (typeof read === 'string') result.problems.push(`${join(dir, file)}: ${read}`);
      else result.attachments.push(read);
    } catch (error) {
      result.problems.push(`${join(dir, file)}: ${messageOf(error)}`);
    }
  }
  return result;
}
