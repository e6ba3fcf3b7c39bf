/** Makes foreign text safe for a message: quoted, ASCII on one line, and short. */
export function shown(text: string): string {
  const short = JSON.stringify(text.length <= 64 ? text : `${text.slice(0, 61)}...`);
  return short.replace(/[^ -~]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
