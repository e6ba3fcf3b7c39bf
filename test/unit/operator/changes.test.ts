import { setTimeout as sleep } from 'node:timers/promises';
import { Changes } from '../../../src/operator/changes.ts';
import { serve, type Server, type Stream } from '../../../src/serve/http.ts';
import { silent } from '../../../src/log.ts';
import { eventually } from '../../support/eventually.ts';

let server: Server | undefined;
afterEach(() => server?.close());

const started = async (changes: Changes): Promise<string> => {
  server = await serve({
    listen: '127.0.0.1:0',
    routes: { '/changes': () => changes.follow() },
    log: silent,
  });
  return `http://${server.address}/changes`;
};

/** What has come so far, and whether it has ended. */
async function followed(url: string, signal?: AbortSignal) {
  const response = await fetch(url, signal ? { signal } : {});
  const seen = { text: '', ended: false, type: response.headers.get('content-type') };
  void (async () => {
    try {
      for await (const chunk of response.body!) seen.text += Buffer.from(chunk).toString();
    } catch {
      // aborted
    }
    seen.ended = true;
  })();
  return seen;
}

test('a page gets one event for many changed objects, and otherwise a heartbeat', async () => {
  const changes = new Changes({ tick: 20, heartbeat: 100 });
  const seen = await followed(await started(changes));
  await eventually(
    () => seen.text,
    (text) => text.startsWith('data: 0\n\n'),
  );
  for (let at = 0; at < 1_000; at++) changes.mark();
  await eventually(
    () => seen.text,
    (text) => text.includes('data: 1000\n\n'),
  );
  await eventually(
    () => seen.text,
    (text) => text.includes(':'.concat(' \n\n')),
  );
  expect(seen.text.match(/data: 1000/g)).toHaveLength(1);
  expect(seen.type).toBe('text/event-stream');
});

test('a stream ends after its time, so that the token is checked again', async () => {
  const seen = await followed(await started(new Changes({ tick: 10, heartbeat: 20, most: 50 })));
  await eventually(
    () => seen.ended,
    (ended) => ended,
  );
});

test('the 201st page is refused, and admitted once another has ended', () => {
  const changes = new Changes({ tick: 10, heartbeat: 10 });
  const stops = Array.from({ length: 200 }, () =>
    (changes.follow() as Stream).begin({ send: () => true, end: () => undefined }),
  );
  expect(changes.follow()).toMatchObject({ status: 429, headers: { 'retry-after': '30' } });
  stops.pop()?.();
  expect(changes.follow()).toMatchObject({ contentType: 'text/event-stream' });
  for (const stop of stops) stop();
});

test('a closed page gets no more events; a page that does not read is disconnected', async () => {
  const changes = new Changes({ tick: 10, heartbeat: 10 });
  const away = new AbortController();
  const gone = await followed(await started(changes), away.signal);
  away.abort();
  await eventually(
    () => gone.ended,
    (ended) => ended,
  );
  let ended = 0;
  const stop = (changes.follow() as Stream).begin({ send: () => false, end: () => ended++ });
  await eventually(
    () => ended,
    (count) => count > 0,
  );
  stop();
  await sleep(30);
  const before = ended;
  await sleep(30);
  expect(ended).toBe(before);
});
