import { harmlessIn } from './text.ts';

/** Prints values as YAML that a terminal can show; loaded where somebody wants it. */
export async function yamlPrinter(): Promise<(value: unknown) => string> {
  const { stringify } = await import('yaml');
  return (value) => stringify(harmlessIn(value)).trimEnd();
}
