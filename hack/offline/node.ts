import { spawn } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import { timed } from '../parts/progress.ts';
import { docker, hasImage, type Engine } from '../testbed/engine.ts';
import type { Lab } from '../testbed/lab.ts';
import { writeArchive, writeLayer, type Entry, type Image } from './archive.ts';
import { networkRootfs } from './images.ts';
import { findClusterParts, imageTags, type ClusterParts } from './parts.ts';
import { cachedFile, hashOf, rootfs } from './rootfs.ts';

const assembled = 'overlaynet-e2e/node';

const packages = [
  ...[
    'systemd',
    'dbus',
    'runc',
    'iptables',
    'nftables',
    'iproute2',
    'iputils-ping',
    'ethtool',
    'kmod',
    'mount',
  ],
  ...['util-linux', 'conntrack', 'ipset', 'procps', 'jq', 'curl', 'ca-certificates', 'libseccomp2', 'socat'],
];

/**
 * Turns a Debian into kind's base image as kind's own Dockerfile does, then into a node image: programs, and images in
 * containerd's store. /in holds the parts.
 */
const build = `
set -euo pipefail
cp -r --preserve=mode /in/kindFiles/. /
cd /lib/systemd/system
rm -f sysinit.target.wants/systemd-tmpfiles-setup.service multi-user.target.wants/* /etc/systemd/system/*.wants/* \\
  local-fs.target.wants/* sockets.target.wants/*udev* sockets.target.wants/*initctl* basic.target.wants/*
echo ReadKMsg=no >> /etc/systemd/journald.conf
ln -sf /lib/systemd/systemd /sbin/init
systemctl --quiet enable kubelet.service containerd.service undo-mount-hacks.service
systemctl --quiet mask systemd-binfmt.service
mkdir -p /etc/kubernetes/manifests /etc/cni/net.d /opt/cni/bin /kind/manifests
# where CAP_SYS_RESOURCE is missing no process may protect itself from the OOM killer: containers would not start
sed -i /^OOMScoreAdjust=/d /etc/systemd/system/containerd.service
sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/; s#/pause:[0-9.]*"#/pause:${imageTags.pause}"#' \\
  /etc/containerd/config.toml
cp /in/runc/runc /usr/local/sbin/runc
cp /in/containerd/* /usr/local/bin/
cp /in/kubernetes/kubelet /in/kubernetes/kubeadm /in/kubectl/kubectl /usr/bin/
# of the standard plugins what kind's image has, and no more: the agent brings what it needs
cp /in/cni/host-local /in/cni/loopback /in/cni/portmap /opt/cni/bin/
ctr oci spec | jq '.hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \\
  > /etc/containerd/cri-base.json
printf %s ${imageTags.kubernetes} > /kind/version
cat > /kind/manifests/default-storage.yaml <<END
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
END
containerd >/tmp/containerd.log 2>&1 &
for try in $(seq 50); do ctr version >/dev/null 2>&1 && break; sleep 0.2; done
ctr --namespace k8s.io images import --label io.cri-containerd.pinned=pinned --all-platforms --no-unpack --digests \\
  /in/images/images.tar
kill %1
wait
rm -rf /tmp/* /run/containerd /run/nri
`;

/** Writes the images that kubeadm needs into one docker-archive. */
async function clusterImages(parts: ClusterParts, file: string): Promise<void> {
  const work = dirname(file);
  const tmp: Entry = { directory: 0o1777 };
  const lower = await networkRootfs();
  const image = async (name: string, to: string, from: string, below: string[] = []): Promise<Image> => {
    const layer = join(work, `${basename(to)}.layer`);
    await writeLayer(layer, { [to]: from, ...(below.length === 0 && { '/tmp': tmp }) });
    return { tag: `registry.k8s.io/${name}`, layers: [...below, layer], config: { Entrypoint: [to] } };
  };
  const kubernetes = (name: string, from: string, below?: string[]) =>
    image(`${name}:${imageTags.kubernetes}`, `/usr/local/bin/${name}`, from, below);
  await writeArchive(file, [
    await kubernetes('kube-apiserver', parts.kubeApiserver),
    await kubernetes('kube-controller-manager', join(parts.kubernetes, 'kube-controller-manager')),
    await kubernetes('kube-scheduler', join(parts.kubernetes, 'kube-scheduler')),
    await kubernetes('kube-proxy', join(parts.kubernetes, 'kube-proxy'), [lower]),
    await image(`etcd:${imageTags.etcd}`, '/usr/local/bin/etcd', parts.etcd),
    await image(`coredns/coredns:${imageTags.coredns}`, '/coredns', join(parts.coredns, 'coredns')),
    await image(`pause:${imageTags.pause}`, '/pause', join(parts.pause, 'pause')),
  ]);
}

/** Assembles the image in a container of the engine that has access to the parts only. */
async function assemble(
  lab: Lab,
  engine: Engine,
  parts: ClusterParts,
  base: string,
  tag: string,
): Promise<void> {
  const name = 'overlaynet-e2e-build';
  const work = await mkdtemp(join(lab.dir, 'node-'));
  try {
    await mkdir(join(work, 'images'));
    await clusterImages(parts, join(work, 'images', 'images.tar'));
    const from = (await docker(engine, ['import', base])).trim();
    const places = {
      kindFiles: parts.kindFiles,
      runc: dirname(parts.runc),
      containerd: parts.containerd,
      kubernetes: parts.kubernetes,
      kubectl: dirname(parts.kubectl),
      cni: parts.cni,
      images: join(work, 'images'),
    };
    const volumes = Object.entries(places).flatMap(([to, dir]) => ['-v', `${dir}:/in/${to}:ro`]);
    await docker(engine, ['rm', '-fv', name]);
    const sealed = [
      '--network',
      'none',
      '--security-opt',
      'seccomp=unconfined',
      '--stop-signal',
      'SIGRTMIN+3',
    ];
    await docker(engine, ['run', '--name', name, ...sealed, ...volumes, from, 'bash', '-c', build]);
    const changes = [
      'ENV container=docker',
      'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]',
      'CMD []',
    ];
    await docker(engine, ['commit', ...changes.flatMap((change) => ['--change', change]), name, tag]);
  } finally {
    await docker(engine, ['rm', '-fv', name]).catch(() => undefined);
    await rm(work, { recursive: true, force: true });
  }
}

/** Pipes `docker save` to a compressed file, or such a file to `docker load`, without a temporary copy. */
async function transfer(
  engine: Engine,
  direction: 'save' | 'load',
  file: string,
  tag: string,
): Promise<void> {
  const save = direction === 'save';
  const child = spawn('docker', ['-H', engine.host, ...(save ? ['save', tag] : ['load', '--quiet'])], {
    stdio: [save ? 'ignore' : 'pipe', save ? 'pipe' : 'ignore', 'inherit'],
  });
  const ended = once(child, 'close');
  if (child.stdout) await pipeline(child.stdout, createZstdCompress(), createWriteStream(file));
  if (child.stdin) await pipeline(createReadStream(file), createZstdDecompress(), child.stdin);
  const [code] = (await ended) as [number];
  if (code !== 0) throw new Error(`docker ${direction} ${tag}: exit status ${code}`);
}

/**
 * Returns the name of the engine's node image, which is assembled from Debian packages and the parts and kept in the
 * cache.
 */
export async function assembledNodeImage(lab: Lab, engine: Engine): Promise<string> {
  const parts = await findClusterParts();
  const base = await rootfs('node', 'minbase', packages);
  const inputs = [parts, base, await networkRootfs(), imageTags, build];
  const tag = `${assembled}:${hashOf(inputs)}`;
  const archive = await cachedFile('nodeimage.tar.zst', inputs, async (file) => {
    await timed(`${tag}: assembling`, () => assemble(lab, engine, parts, base, tag));
    await timed(`${tag}: saving`, () => transfer(engine, 'save', file, tag));
  });
  if (!(await hasImage(engine, tag)))
    await timed(`${tag}: loading`, () => transfer(engine, 'load', archive, tag));
  const tags = (await docker(engine, ['images', '--format', '{{.Repository}}:{{.Tag}}', assembled])).split(
    '\n',
  );
  const old = tags.filter((one) => one !== '' && one !== tag);
  if (old.length > 0) await docker(engine, ['rmi', ...old]);
  return tag;
}
