/** Images whose specs want a shell, programs for the network and a process that stays: agnhost has all of it. */
const shells = ['agnhost', 'busybox', 'distroless-iptables', 'jessie-dnsutils', 'nginx'];
const servers = ['regression-issue-74839'];

/** Without registry and tag. */
const shortName = (image: string) => image.replace(/^.*\//, '').replace(/:.*$/, '');

/** Of all that the suite's `--list-images` prints, the images that can be made here, by what makes them. */
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
