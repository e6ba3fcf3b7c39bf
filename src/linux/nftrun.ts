import { CommandError, whyFailed, type Run } from './run.ts';

/** Error messages are compared, so they must not be translated. */
const env = { LC_ALL: 'C' };

/** Runs `nft`, and returns what it printed. @throws CommandError with its words, if it fails */
export async function nft(run: Run, args: string[], input = ''): Promise<string> {
  const { stdout, failure } = await attempt(run, args, input);
  if (failure === undefined) return stdout;
  throw failure;
}

/** The same for a list; undefined if what was asked for is not there. @throws CommandError */
export async function nftIfThere(run: Run, args: string[]): Promise<string | undefined> {
  const { stdout, stderr, failure } = await attempt(run, args, '');
  if (failure === undefined) return stdout;
  // in nft's own words: a program that is not there is another matter
  if (/^Error: No such file or directory/m.test(stderr)) return undefined;
  throw failure;
}

async function attempt(run: Run, args: string[], input: string) {
  const { stdout, stderr, code } = await run('nft', args, { input, env });
  if (code === 0) return { stdout, stderr };
  // the rest is the place in the input, and marks below it
  const words = whyFailed({ stderr, code }).split('\n', 3).join(' ');
  const command = ['nft', ...args].join(' ');
  return { stdout, stderr, failure: new CommandError(`nft: ${words} (${command})`, { command }) };
}
