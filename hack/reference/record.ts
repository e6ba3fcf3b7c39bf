import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Typed } from './transcript.ts';

/** Files that lines name. */
const files: Record<string, string> = {
  'config.yaml': `dcos_overlay_network:
  vtep_subnet: 44.128.0.0/20
  vtep_mac_oui: 70:B3:D5:00:00:00
  overlays:
    - name: dcos
      subnet: 9.0.0.0/8
      prefix: 24
`,
  'agents.csv': `172.17.0.2,node1
172.17.0.4,node2
172.17.0.3,node3
`,
  'dev.yaml': `apiVersion: overlaynet.dev/v1alpha1
kind: OverlayNetwork
metadata: { name: dev }
spec:
  subnets: [{ cidr: 10.100.0.0/16, prefix: 24 }]
`,
  'late.yaml': `apiVersion: overlaynet.dev/v1alpha1
kind: OverlayNetwork
metadata: { name: late }
spec:
  subnets: [{ cidr: 9.7.0.0/16, prefix: 24 }]
`,
  'off.yaml': `apiVersion: overlaynet.dev/v1alpha1
kind: OverlayNetwork
metadata: { name: dcos }
spec:
  enabled: false
  subnets: [{ cidr: 9.0.0.0/8, prefix: 24 }]
`,
};

/** Lines to type, in their order; stage.ts has put the pods there, on dcos. */
const lines = [
  'status',
  'status --server http://127.0.0.1:1',
  'networks',
  'networks -o wide',
  'agents',
  'blocks dcos -o wide',
  'containers',
  'ip 9.0.1.1',
  'ip 8.8.8.8',
  'why pod shop/web-0',
  'why pod shop/web-1',
  'why node node2',
  'check',
  'trace --from shop/web-0 --to shop/db-0:5432',
  'trace --from shop/web-0 --to shop/db-0 --send',
  'probe --from node2 --to node3',
  'plan -f dev.yaml',
  'plan -f late.yaml',
  'plan -f off.yaml',
  'import --config config.yaml',
  'export',
  'export --state | head -12',
  'export > old.yaml',
  'export --state > state.json',
  'import --config old.yaml --state state.json --map agents.csv',
  'bundle --anonymise -o case.tar.gz',
  'ui --no-browser',
  'version',
  'completion bash | head -3',
];

/** The files that a line reads, for the reader of the page. */
const filesOf = (rest: string): Pick<Typed, 'files'> => {
  const read = Object.entries(files).filter(([name]) => rest.split(' ').includes(name));
  return read.length === 0 ? {} : { files: Object.fromEntries(read) };
};

/** Text that differs in each run, and is of no use to the reader. */
const changing: [RegExp, string][] = [
  [/#token=[\w-]+/g, '#token=…'],
  [/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT'],
];

/** Types the lines with the command, in a directory with the files. @param env how the lab is reached */
export async function record(program: string, env: Record<string, string>): Promise<Typed[]> {
  const directory = mkdtempSync(join(tmpdir(), 'overlaynet-transcript-'));
  const bin = join(directory, 'bin');
  const work = join(directory, 'work');
  try {
    mkdirSync(bin);
    mkdirSync(work);
    symlinkSync(program, join(bin, 'kubectl-overlay'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(work, name), text);
    const typed: Typed[] = [];
    for (const rest of lines) typed.push({ ...filesOf(rest), ...(await type(rest, { bin, work, env })) });
    return typed;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function type(
  rest: string,
  { bin, work, env }: { bin: string; work: string; env: Record<string, string> },
): Promise<Typed> {
  const path = `${bin}:${process.env.PATH ?? ''}`;
  const child = spawn('bash', ['-c', `set -o pipefail; exec 2>&1; kubectl-overlay ${rest}`], {
    cwd: work,
    env: { ...process.env, ...env, PATH: path, NO_COLOR: '1' },
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    // it goes on until Ctrl-C
    if (rest.startsWith('ui') && output.includes('Ctrl-C') && child.pid !== undefined)
      process.kill(-child.pid, 'SIGINT');
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const text = changing.reduce((all, [pattern, by]) => all.replace(pattern, by), output);
      const exit = signal === 'SIGINT' ? 130 : (code ?? 1);
      resolve({ line: `kubectl overlay ${rest}`, exit, output: text.trimEnd() });
    });
  });
}
