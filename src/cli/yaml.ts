import { harmlessIn } from './text.ts';

/** Prints values as YAML that is safe for a terminal. The library is loaded on demand. */
export async function yamlPrinter(): Promise<(value: unknown) => string> {
  const { stringify } = await import('yaml');
  return (value) => stringify(harmlessIn(value)).trimEnd();
}
