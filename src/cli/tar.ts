import { createHash } from 'node:crypto';

const blockSize = 512;
const [longestName, longestPrefix] = [100, 155];

/**
 * Returns one file of a tar archive (POSIX.1-1988, ustar): a header of 512 bytes, and the content padded to a multiple of 512.
 * @param modified seconds since the epoch
 */
export function tarFile(path: string, content: Buffer, modified: number): Buffer[] {
  const header = Buffer.alloc(blockSize);
  const { name, prefix } = split(path);
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'ascii');
  header.write(name, 0);
  octal(0o600, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(content.length, 124, 12);
  octal(modified, 136, 12);
  header.write(' '.repeat(8), 148, 'ascii');
  header.write('0', 156, 'ascii');
  header.write('ustar\0', 257, 'ascii');
  header.write('00', 263, 'ascii');
  header.write(prefix, 345);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'ascii');
  const rest = content.length % blockSize;
  return [header, content, ...(rest === 0 ? [] : [Buffer.alloc(blockSize - rest)])];
}

/** The end of an archive. */
export const tarEnd = (): Buffer => Buffer.alloc(2 * blockSize);

/** Splits a path into the header's two fields. A part that is too long is cut, and ends with its hash. */
function split(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= longestName) return { name: path, prefix: '' };
  const at = path.lastIndexOf('/');
  return {
    name: fitted(path.slice(at + 1), longestName),
    prefix: fitted(path.slice(0, Math.max(0, at)), longestPrefix),
  };
}

function fitted(text: string, longest: number): string {
  if (Buffer.byteLength(text) <= longest) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  return `${Buffer.from(text)
    .subarray(0, longest - 13)
    .toString('latin1')
    .replace(/[^ -~]/g, '_')}-${hash}`;
}
