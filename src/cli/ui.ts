import { spawn } from 'node:child_process';
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Access } from './access.ts';
import { CommandFailure } from './failure.ts';
import type { Output } from './output.ts';
import { Relay } from './relay.ts';

interface UIOptions {
  port?: string;
  browser?: boolean;
}

/** `ui`: makes the page reachable on a loopback address until the user ends the command. @returns the exit status */
export async function ui(access: Access, { port, browser = true }: UIOptions, out: Output): Promise<number> {
  const wanted = portIn(port);
  // fails here, before the user opens a page that does not work
  await access.page('networks', { limit: '1' });
  const word = randomBytes(24).toString('base64url');
  const relay = new Relay(access, (given) => isSame(given, word));
  const server = createServer((request, response) => {
    void relay.answer(request, response);
  });
  const bound = await listening(server, wanted);
  const url = `http://127.0.0.1:${bound}/ui/#token=${word}`;
  out.line(url);
  out.note('This URL gives access to the page until you end this command with Ctrl-C');
  if (browser && process.stdout.isTTY) open(url);
  out.untilEnded();
  await new Promise<void>((resolve) => {
    out.ended.addEventListener('abort', () => {
      resolve();
    });
  });
  server.close();
  relay.close();
  return 0;
}

/** @throws CommandFailure */
function portIn(text: string | undefined): number {
  if (text === undefined) return 0;
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535)
    throw new CommandFailure(
      `--port "${text}" is not a number from 1 to 65535`,
      'leave it out to get a free one',
    );
  return port;
}

function isSame(given: string, word: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(word)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The port that was bound. @throws CommandFailure */
function listening(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        new CommandFailure(
          `port ${port} of 127.0.0.1 cannot be used: ${error.code === 'EADDRINUSE' ? 'another process has it' : error.message}`,
          'name another with --port, or leave it out',
          error,
        ),
      );
    });
    server.listen(port, '127.0.0.1', () => {
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/**
 * Opens a browser. The URL is passed in a file that only this user can read, because all users of the machine can see the
 * arguments of processes.
 */
function open(url: string): void {
  const directory = mkdtempSync(join(tmpdir(), 'kubectl-overlay-'));
  const file = join(directory, 'overlaynet.html');
  writeFileSync(file, `<!doctype html><meta http-equiv="refresh" content="0;url=${url}">\n`, { mode: 0o600 });
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open';
  // without such a program the user opens the URL that was printed
  spawn(program, [file], { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref();
  process.once('exit', () => {
    rmSync(directory, { recursive: true, force: true });
  });
}
