import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiFailure } from '../../../src/cli/failure.ts';
import { loadConfig, readCredentials } from '../../../src/kube/config.ts';
import { CredentialsError } from '../../../src/kube/error.ts';

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'ovt-plugin-'))));
afterEach(() => {
  rmSync(dir, { recursive: true });
});

const kubeconfig = (user: object): string => {
  const file = join(dir, 'config');
  const content = {
    clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'alice' } }],
    'current-context': 'c',
    users: [{ name: 'alice', user }],
  };
  writeFileSync(file, JSON.stringify(content));
  return file;
};

const plugin = (script: string, more: object = {}): string => {
  writeFileSync(join(dir, 'plugin'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(dir, 'plugin'), 0o755);
  return kubeconfig({
    exec: { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', ...more },
  });
};

const credentials = (file: string) => readCredentials(loadConfig(file));

test('a plugin is found beside its kubeconfig, and knows how it is run', async () => {
  const file = plugin(
    `printf '{"status": {"token": "%s"}}' "$(printf %s "$KUBERNETES_EXEC_INFO" | tr -d '{}"' | tr , ' ')"`,
    { provideClusterInfo: true },
  );
  const { headers } = await credentials(file);
  expect(headers.Authorization).toBe(
    'Bearer apiVersion:client.authentication.k8s.io/v1 kind:ExecCredential spec:interactive:false cluster:server:https://127.0.0.1:1 insecure-skip-tls-verify:false',
  );
});

test.each([
  ['echo "run foo login" >&2; exit 1', 'run foo login'],
  ['exit 1', 'it failed without a message'],
  ['echo nonsense', 'what it printed is no ExecCredential'],
])('%j fails by its own words', async (script, says) => {
  const error = await credentials(plugin(script)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CredentialsError);
  expect((error as Error).message).toBe(
    `the exec plugin ${join(dir, 'plugin')} of user "alice" failed: ${says}`,
  );
});

test('a plugin that is not installed comes with its own hint', async () => {
  const file = kubeconfig({
    exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'ovt-none', installHint: 'get ovt-none' },
  });
  await expect(credentials(file)).rejects.toThrow(
    'the exec plugin ovt-none of user "alice" failed: there is no such program; get ovt-none',
  );
});

test('a certificate that is none is the kubeconfig’s fault, and not the API server’s', async () => {
  const file = kubeconfig({ 'client-certificate-data': 'Zm9v', 'client-key-data': 'Zm9v' });
  await expect(credentials(file)).rejects.toThrow('the credentials of user "alice" cannot be used: ');
});

test('the command says so, and not that the API server cannot be reached', async () => {
  const cause = await credentials(plugin('exit 1')).catch((thrown: unknown) => thrown);
  const failure = apiFailure(new Error('list pods: it failed', { cause }), 'https://a', 'overlaynet-system');
  expect(failure.message).toMatch(/^the exec plugin .*failed/);
  expect(failure.next).toContain('log in as for kubectl');
});
