#!/usr/bin/env node
import pkg from '../../package.json' with { type: 'json' };
import { createProgram } from './program.ts';
import { messageOf } from '../error.ts';

/** What help needs is loaded at once, and the rest only where it is needed: the command starts in a moment. */
const program = createProgram(pkg.version, async (...given) => {
  const { act } = await import('./actions.ts');
  return act(...given);
});
// usage errors are "could not tell", as all that goes wrong
program.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
for (const command of program.commands)
  command.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

try {
  await program.parseAsync();
} catch (error) {
  const { harmless } = await import('./text.ts');
  const message = messageOf(error);
  process.stderr.write(`error: ${harmless(message)}\n`);
  if (error instanceof Error && 'next' in error && typeof error.next === 'string')
    process.stderr.write(`  ${harmless(error.next)}\n`);
  process.exitCode = 2;
}
