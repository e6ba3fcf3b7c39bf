import type { IncomingMessage } from 'node:http';

/** The largest request body that is accepted, in bytes. */
export const largestBody = 64 * 1024;

/** The client closed the connection before the whole body arrived, so no reply can be read. */
export class CutOff extends Error {
  override name = 'CutOff';

  constructor() {
    super('the request was cut off');
  }
}

/**
 * Reads the body as text. Returns undefined, and stops reading, when it has more than `largestBody` bytes.
 * @throws CutOff
 */
export function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > largestBody) {
        request.pause();
        resolve(undefined);
      } else chunks.push(chunk);
    });
    request.on('end', () => {
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    // this covers a client that is too slow for the server's time limit, too
    for (const event of ['close', 'error']) {
      request.on(event, () => {
        reject(new CutOff());
      });
    }
  });
}
