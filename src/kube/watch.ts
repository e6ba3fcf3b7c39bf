import type { KubeObject } from '../api/types.ts';
import { ApiError, type Status } from './error.ts';
import { pathOf, type Resource } from './resources.ts';
import { brokenOff, type Request, type Transport } from './transport.ts';

export interface WatchOptions {
  /** Events after this version are sent. */
  resourceVersion: string;
  fieldSelector?: string;
  labelSelector?: string;
  signal: AbortSignal;
  /** Called when the server has accepted the watch. */
  onOpen?: () => void;
}

export interface WatchEvent<T extends KubeObject> {
  /** The object of a BOOKMARK holds only a resourceVersion: all events up to it have been sent. */
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  object: T;
}

/** Splits the chunks of a body into lines of JSON. Text after the last line break is dropped. */
async function* lines(body: AsyncIterable<Uint8Array>, onChunk: () => void): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    onChunk();
    const parts = decoder.decode(chunk, { stream: true }).split('\n');
    parts[0] = rest + (parts[0] ?? '');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}

/**
 * Yields the events of one connection, up to about five minutes. It ends when the server ends it, or when nothing
 * came for `silenceMs`. Silence may mean a quiet resource, a half-open connection, or a `resourceVersion` that a
 * restored etcd has yet to reach; the caller asks the server which.
 * @throws ApiError when the server refuses or sends an ERROR event (410: resourceVersion too old); Error when it did
 * not answer or the connection broke
 */
export async function* watch<T extends KubeObject>(
  transport: Transport,
  resource: Resource<T>,
  { resourceVersion, fieldSelector, labelSelector, signal, onOpen }: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const request: Request = {
    what: `watch ${resource.plural}`,
    method: 'GET',
    path: pathOf(resource),
    query: {
      watch: true,
      allowWatchBookmarks: true,
      // randomised, so that thousands of agents do not reconnect in step
      timeoutSeconds: Math.round(270 + Math.random() * 60),
      resourceVersion,
      fieldSelector,
      labelSelector,
    },
    ...(resource.metadataOnly === true
      ? { accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1' }
      : {}),
  };
  const { requestMs, silenceMs } = transport.limits;
  const cut = new AbortController();
  const quiet = new Error(`${request.what}: nothing came for ${silenceMs} ms`);
  const stop = () => {
    cut.abort(signal.reason);
  };
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  let timer = setTimeout(() => {
    transport.replaceConnections();
    cut.abort(new Error(`${request.what}: no answer within ${requestMs} ms`));
  }, requestMs);
  try {
    const answer = await transport.open(request, cut.signal);
    onOpen?.();
    clearTimeout(timer);
    timer = setTimeout(() => {
      cut.abort(quiet);
    }, silenceMs);
    for await (const line of lines(answer as AsyncIterable<Uint8Array>, () => timer.refresh())) {
      const event = JSON.parse(line) as WatchEvent<T> | { type: 'ERROR'; object: Status };
      if (event.type === 'ERROR') throw new ApiError(request.what, event.object.code ?? 500, event.object);
      yield event;
    }
  } catch (error) {
    if (!cut.signal.aborted) throw brokenOff(request.what, error);
    if (cut.signal.reason !== quiet) throw cut.signal.reason;
  } finally {
    // its body is not read any more
    cut.abort();
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
