import type { IncomingMessage } from 'node:http';

/** The most bytes that the body of a request may have. */
export const largestBody = 64 * 1024;

/** The request ended before its body did: nobody waits for the answer. */
export class CutOff extends Error {
  override name = 'CutOff';

  constructor() {
    super('the request was cut off');
  }
}

/** The body as text; undefined where it has more than `largestBody` bytes: the rest is not read. @throws CutOff */
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
    // also when it is too slow for the server's time limit
    for (const event of ['close', 'error']) {
      request.on(event, () => {
        reject(new CutOff());
      });
    }
  });
}
