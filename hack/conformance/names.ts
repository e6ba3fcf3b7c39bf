/** Images that only need a shell, network programs and a process that keeps running: agnhost has all three. */
const shells = ['agnhost', 'busybox', 'distroless-iptables', 'jessie-dnsutils', 'nginx'];
const servers = ['regression-issue-74839'];

/** The name without registry and tag. */
const shortName = (image: string) => image.replace(/^.*\//, '').replace(/:.*$/, '');

/** Sorts the suite's `--list-images` output into the images that can be made here, by the image that replaces them. */
export function namesOf(listed: string): { shells: string[]; servers: string[] } {
  const images = listed
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('registry.k8s.io/'));
  const of = (names: string[]) => images.filter((image) => names.includes(shortName(image)));
  const found = { shells: of(shells), servers: of(servers) };
  const missing = [...shells, ...servers].filter(
    (name) => !images.some((image) => shortName(image) === name),
  );
  if (missing.length > 0) throw new Error(`e2e.test lists no image ${missing.join(', ')}`);
  return found;
}
