import { chmod, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { kubernetesVersion } from '../parts.ts';
import { corednsModule, corednsVersion, ownPart } from './cluster.ts';
import { command } from './command.ts';
import { goBuild, kubernetes } from './go.ts';
import { arch, find, go, unpack, type Part } from './part.ts';

/** Paths of the programs for Kubernetes' own test suite. */
export interface ConformanceParts {
  /** Kubernetes' e2e.test, one program with all specs. */
  suite: string;
  /** Runs several instances of the suite side by side and merges their reports. */
  ginkgo: string;
  /** Directory of the programs and files of the suite's images. */
  images: string;
  /** The DNS server that specs configure for themselves. */
  testdns: string;
}

const packages = 'k8s.io/kubernetes/test';

const suitePart: Part = {
  name: 'kubernetes-test',
  version: kubernetesVersion,
  files: ['e2e.test', 'ginkgo'],
  download: (dir) => {
    const url = `https://dl.k8s.io/v${kubernetesVersion}/kubernetes-test-linux-${arch}.tar.gz`;
    const members = ['e2e.test', 'ginkgo'].map((name) => `kubernetes/test/bin/${name}`);
    return unpack(dir, url, `${url}.sha256`, members, 3);
  },
  build: async (dir) => {
    const build = kubernetes(kubernetesVersion, []);
    await goBuild(await go(), dir, { ...build, packages: ['github.com/onsi/ginkgo/v2/ginkgo'] });
    await goBuild(await go(), dir, { ...build, packages: [`${packages}/e2e`], tests: true, as: 'e2e.test' });
  },
  buildTime: '20 minutes',
};

/** Keys of a server in agnhost: they are in its source directory, and its Dockerfile copies them. */
const keys = ['localhost.crt', 'localhost.key'];

const imagesPart: Part = {
  name: 'kubernetes-test-images',
  version: kubernetesVersion,
  files: ['agnhost', 'regression-issue-74839'],
  build: async (dir) => {
    const programs = ['agnhost', 'regression-issue-74839'].map((name) => `${packages}/images/${name}`);
    await goBuild(await go(), dir, { ...kubernetes(kubernetesVersion, []), packages: programs });
    const json = await command(await go(), [
      'mod',
      'download',
      '-json',
      `k8s.io/kubernetes@v${kubernetesVersion}`,
    ]);
    const { Dir: source } = JSON.parse(json) as { Dir: string };
    for (const key of keys) {
      await copyFile(join(source, 'test', 'images', 'agnhost', 'porter', key), join(dir, key));
      await chmod(join(dir, key), 0o644);
    }
  },
  buildTime: 'a minute',
};

/**
 * Finds Kubernetes' own suite in the cluster's version: downloads or builds it, and builds the programs in its images.
 */
export async function findConformanceParts(): Promise<ConformanceParts> {
  const suite = await find(suitePart);
  const testdns = ownPart('kind/go/testdns', {
    version: corednsVersion,
    module: corednsModule,
    buildTime: 'a minute',
  });
  return {
    suite: join(suite, 'e2e.test'),
    ginkgo: join(suite, 'ginkgo'),
    images: await find(imagesPart),
    testdns: join(await find(testdns), 'testdns'),
  };
}
