#!/usr/bin/env node
import pkg from '../../package.json' with { type: 'json' };
import { createProgram } from './program.ts';
import { messageOf } from '../error.ts';
import { tooOld } from './node.ts';

// checks Node's version before anything else is loaded: the import would fail with a misleading message
const old = tooOld(process.version, pkg.engines.node);
if (old !== undefined) {
  process.stderr.write(
    `error: ${old}\n  put a newer one first on the PATH: https://nodejs.org/en/download\n`,
  );
  process.exit(2);
}

/** loads at start only what help needs, and the rest when it is needed: the command then starts quickly */
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
