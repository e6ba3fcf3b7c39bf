import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeArchive, writeLayer, type Image } from '../offline/archive.ts';
import { rootfs } from '../offline/rootfs.ts';
import { command } from '../parts/command.ts';
import type { ConformanceParts } from '../parts/conformance.ts';
import { say } from '../parts/progress.ts';
import type { Lab } from '../testbed/lab.ts';
import { namesOf } from './names.ts';

/**
 * Debian packages in the image: those that upstream's agnhost Dockerfile installs, and the programs that specs run in
 * images which this one replaces.
 */
const packages = [
  ...['bash', 'bind9-dnsutils', 'curl', 'iperf', 'iproute2', 'netcat-openbsd', 'wget'],
  ...['conntrack', 'iptables', 'procps'],
];

/**
 * The images of upstream's specs that can be made without a registry. One is agnhost, built as its Dockerfile says but
 * on Debian instead of Alpine; it also has the names of images that serve specs as a shell with network programs. The
 * other is a server that sends wrong packets.
 */
async function imagesOf(parts: ConformanceParts, work: string): Promise<Image[]> {
  const layer = join(work, 'agnhost.layer');
  const at = (name: string) => join(parts.images, name);
  await writeLayer(layer, {
    '/agnhost': at('agnhost'),
    '/agnhost-2': { link: 'agnhost' },
    '/coredns': parts.testdns,
    '/localhost.crt': at('localhost.crt'),
    '/localhost.key': at('localhost.key'),
    '/uploads': { directory: 0o755 },
    '/results': { directory: 0o755 },
  });
  const regression = 'regression-issue-74839';
  const other = join(work, 'regression.layer');
  await writeLayer(other, { [`/${regression}`]: at(regression) });
  const agnhost = {
    layers: [await rootfs('agnhost', 'minbase', packages), layer],
    config: { Entrypoint: ['/agnhost'], Cmd: ['pause'] },
  };
  const { shells, servers } = namesOf(await command(parts.suite, ['--list-images']));
  return [
    ...shells.map((tag) => ({ tag, ...agnhost })),
    ...servers.map((tag) => ({ tag, layers: [other], config: { Entrypoint: [`/${regression}`] } })),
  ];
}

/** Makes upstream's images and passes a docker-archive of them to `load`. */
export async function provideTestImages(
  lab: Lab,
  parts: ConformanceParts,
  load: (archive: string) => Promise<unknown>,
): Promise<void> {
  const work = await mkdtemp(join(lab.dir, 'images-'));
  try {
    const images = await imagesOf(parts, work);
    say(`  ${images.map(({ tag }) => tag).join(' ')}`);
    const archive = join(work, 'images.tar');
    await writeArchive(archive, images);
    await load(archive);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
