import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { command } from './parts/command.ts';
import { ensurePackages } from './parts/packages.ts';
import { say } from './parts/progress.ts';
import { buildPage } from './page/build.ts';
import { record } from './page/recorded.ts';
import { pictures, takePictures } from './page/pictures.ts';
import { serveRecorded } from './page/serve.ts';
import { root } from './testbed/lab.ts';

/** `npm run page -- serve` and `npm run page -- pictures` show the page with recorded data, for work on the page. */

const directory = join(root, 'dist', 'ui');
const program = new Command('hack/run page').description('Shows the page with recorded data.');

program
  .command('serve')
  .description('serve it on this machine until Ctrl-C')
  .option('--nodes <count>', 'how many', '3')
  .option('--containers <count>', 'how many', '60')
  .action(async (options: { nodes: string; containers: string }) => {
    await buildPage(directory);
    const data = record({ nodes: Number(options.nodes), containers: Number(options.containers) });
    const { address } = await serveRecorded(directory, () => data);
    say(`http://${address}/ui/`);
  });

program
  .command('pictures')
  .description(`make dist/pictures: ${pictures.map(({ name }) => name).join(', ')}`)
  .argument('[names...]', 'of these alone')
  .action(async (names: string[]) => {
    await ensurePackages({ chromium: 'chromium', 'fc-list': 'fontconfig' });
    if ((await command('fc-list', [':lang=zh'])) === '')
      say('no font has Chinese characters, and the pictures show boxes: apt-get install fonts-wqy-microhei');
    await buildPage(directory);
    const to = join(root, 'dist', 'pictures');
    await mkdir(to, { recursive: true });
    await takePictures(directory, to, names);
    say(to);
  });

await program.parseAsync();
