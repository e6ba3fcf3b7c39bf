/** What one message may have: what somebody reads, and what the API server takes in an Event. */
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
  // the note that says the most is the longest
  const kept = Math.max(0, most - note(0).length);
  return characters.slice(0, kept).join('') + note(kept);
}
