import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { download, publishedSum } from '../../../hack/parts/download.ts';

const sum = (text: string) => createHash('sha256').update(text).digest('hex');

describe('a published sum', () => {
  test('may be bare, or a line among others', () => {
    expect(publishedSum(`${sum('a')}\n`, 'etcd')).toBe(sum('a'));
    expect(publishedSum(`${sum('a')}  other\n${sum('b')} *etcd\n`, 'etcd')).toBe(sum('b'));
  });

  test('has to be there', () => {
    expect(() => publishedSum(`${sum('a')}  other\n${sum('b')}  another\n`, 'etcd')).toThrow(
      'no SHA-256 of etcd',
    );
    expect(() => publishedSum('<html>not found</html>', 'etcd')).toThrow('no SHA-256 of etcd');
  });
});

describe('a download', () => {
  const files: Record<string, string> = {
    '/good': 'binary',
    '/good.sha256': sum('binary'),
    '/bad': 'changed on its way',
    '/bad.sha256': sum('binary'),
  };
  let server: Server;
  let origin: string;
  let dir: string;

  beforeAll(async () => {
    server = createServer((request, response) => {
      const body = files[request.url ?? ''];
      response.writeHead(body === undefined ? 404 : 200).end(body);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    dir = mkdtempSync(join(tmpdir(), 'ovt-download-'));
  });
  afterAll(() => {
    server.close();
    rmSync(dir, { recursive: true });
  });

  const fetched = (name: string) =>
    download(`${origin}/${name}`, `${origin}/${name}.sha256`, join(dir, name));

  test('with the published checksum is kept', async () => {
    await fetched('good');
    expect(readFileSync(join(dir, 'good'), 'utf8')).toBe('binary');
  });

  test('that differs from its published sum is not', async () => {
    await expect(fetched('bad')).rejects.toThrow(`SHA-256 is ${sum('changed on its way')}`);
    expect(existsSync(join(dir, 'bad'))).toBe(false);
  });

  test('that is not there says so with its address', async () => {
    await expect(fetched('absent')).rejects.toThrow(`${origin}/absent.sha256: HTTP 404`);
  });
});
