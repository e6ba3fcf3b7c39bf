import type { Findings } from './finding.ts';

/** Damage that web pages, mail programs and editors do to text, with the original. Repairs keep the line numbers. */
const mends: { what: string; pattern: RegExp; by: string | ((found: string) => string) }[] = [
  {
    what: 'a no-break or other wide space, read as a space',
    pattern: /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g,
    by: ' ',
  },
  { what: 'an invisible character, left out', pattern: /[\u200b-\u200f\u2060\ufeff\u00ad]/g, by: '' },
  {
    what: 'a typographic quotation mark, read as a plain one',
    pattern: /[\u201c-\u201f\u00ab\u00bb]/g,
    by: '"',
  },
  { what: 'a typographic apostrophe, read as a plain one', pattern: /[\u2018-\u201b]/g, by: "'" },
  { what: 'a wide colon, read as a plain one', pattern: /\uff1a\s*/g, by: ': ' },
  {
    what: 'a dash or bullet as of a text program, read as "-"',
    pattern: /^(\s*)[\u2010-\u2015\u2022\u2043\u2212](?=\s)/g,
    by: '$1-',
  },
  {
    what: 'a character as a web page writes it (&lt;), read as the character',
    pattern: /&(?:lt|gt|amp|quot|apos|nbsp|#39|#34);/g,
    by: (found) =>
      ({ '&lt;': '<', '&gt;': '>', '&amp;': '&', '&nbsp;': ' ', '&apos;': "'", '&#39;': "'" })[found] ?? '"',
  },
  { what: 'the frame of a code block (```), left out', pattern: /^\s*(?:```|~~~).*$/g, by: '' },
];

/** Repairs text that was copied from a web page or mail. It records each change with its line. */
export function mend(source: string, findings: Findings): string {
  let text = source.replace(/^\ufeff/, '');
  if (/\r/.test(text)) text = text.replace(/\r\n?/g, '\n');
  const lines = text.split('\n');
  for (const { what, pattern, by } of mends) {
    const changed: number[] = [];
    lines.forEach((line, at) => {
      const next = line.replace(pattern, by as string);
      if (next === line) return;
      lines[at] = next;
      changed.push(at + 1);
    });
    const [first] = changed;
    if (first !== undefined) findings.add('note', first, `${what}${alsoIn(changed)}`);
  }
  return lines.join('\n');
}

const alsoIn = ([, ...more]: readonly number[]): string =>
  more.length === 0
    ? ''
    : ` (also in ${more.length === 1 ? 'line' : 'lines'} ${more.slice(0, 8).join(', ')}${more.length > 8 ? ' …' : ''})`;

/** Decodes a file's text. UTF-16 is recognised by the mark at its beginning. */
export function decode(bytes: Uint8Array, findings: Findings): string | undefined {
  const [first = 0, second = 0] = bytes;
  const utf16 =
    first === 0xff && second === 0xfe
      ? 'utf-16le'
      : first === 0xfe && second === 0xff
        ? 'utf-16be'
        : undefined;
  try {
    const text = new TextDecoder(utf16 ?? 'utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
    if (utf16 !== undefined) findings.add('note', undefined, 'the file is UTF-16, and is read as such');
    // eslint-disable-next-line no-control-regex
    const odd = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.exec(text);
    if (odd === null) return text;
    const line = text.slice(0, odd.index).split('\n').length;
    const code = odd[0].charCodeAt(0).toString(16).padStart(4, '0');
    findings.refuse(
      line,
      `the control character \\u${code} is no text`,
      'give the file that DC/OS was installed with, not an archive or a program',
    );
  } catch {
    findings.refuse(
      undefined,
      'the file is not UTF-8 text',
      'convert it: iconv -f latin1 -t utf-8 FILE > NEW',
    );
  }
  return undefined;
}
