/** Maximum length of one message: short enough to read, and accepted by the API server in an Event. */
export const mostCharacters = 1_024;

/**
 * The text, or its beginning and how much is missing: `… (31744 more characters)`. The result has at most `most`
 * characters, the note among them. A character is a code point, as the API server counts: no pair is cut in two.
 */
export function bounded(text: string, most = mostCharacters): string {
  if (text.length <= most) return text;
  const characters = Array.from(text);
  if (characters.length <= most) return text;
  const note = (kept: number) => `… (${characters.length - kept} more characters)`;
  // the note is longest if all characters are missing
  const kept = Math.max(0, most - note(0).length);
  return characters.slice(0, kept).join('') + note(kept);
}

/** Control characters, and characters that reverse the direction of text: they could deceive a terminal or its reader. */
// eslint-disable-next-line no-control-regex
export const controls = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Escapes these characters in a text: `\u001b`. */
export const harmless = (text: string): string =>
  text.replace(controls, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** `1 node`, `3 nodes`. */
export const counted = (count: number, one: string, more = `${one}s`): string =>
  `${count} ${count === 1 ? one : more}`;

/** The first names, and the number of the others: `a, b and 3 more`. */
export const listed = (names: readonly string[], most: number): string =>
  names.slice(0, most).join(', ') + (names.length > most ? ` and ${names.length - most} more` : '');

/** An age as kubectl writes it: `45s`, `3m20s`, `5h`, `12d`, `2y30d`; `<unknown>` if it is not known. */
export function age(since: string, now: number): string {
  const seconds = Math.floor((now - Date.parse(since)) / 1_000);
  if (Number.isNaN(seconds)) return '<unknown>';
  if (seconds < -1) return '<invalid>';
  const parts: [
    limit: number,
    unit: number,
    name: string,
    inner: number,
    innerName: string,
    withInner: number,
  ][] = [
    [120, 1, 's', 0, '', 0],
    [10_800, 60, 'm', 1, 's', 600],
    [172_800, 3_600, 'h', 60, 'm', 28_800],
    [63_072_000, 86_400, 'd', 3_600, 'h', 691_200],
    [Infinity, 31_536_000, 'y', 86_400, 'd', 252_288_000],
  ];
  const shown = Math.max(0, seconds);
  for (const [limit, unit, name, inner, innerName, withInner] of parts) {
    if (shown >= limit) continue;
    const rest = inner === 0 ? 0 : Math.floor((shown % unit) / inner);
    return `${Math.floor(shown / unit)}${name}${rest > 0 && shown < withInner ? `${rest}${innerName}` : ''}`;
  }
  return '<unknown>';
}
