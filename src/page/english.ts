const many = (count: number, one: string, more = `${one}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : more}`;

/** Every text of the page. */
export const english = {
  language: 'en',
  number: (value: number) => value.toLocaleString('en'),
  other: { code: 'zh', name: '中文' },
  title: 'overlaynet',
  skip: 'Skip to the content',
  views: 'Views',
  overview: 'Overview',
  networks: 'Networks',
  agents: 'Agents',
  containers: 'Containers',
  signOut: 'Sign out',
  operator: (version: string) => `operator ${version}`,
  newer: 'The operator was updated. Load this page again to see what is new.',
  reload: 'Load again',

  connecting: 'Connecting…',
  live: 'Live',
  lost: (since: string) => `No word from the operator for ${since}. What you see may be old. Trying again…`,

  signIn: 'Sign in',
  token: 'Token',
  tokenHelp:
    'A token of Kubernetes that may read overlaynet. The page keeps it in memory only. This command prints one; overlaynet-viewer in its place shows everything but containers:',
  tokenUI: 'Or let the command do it all:',
  looking: 'Asking the operator…',

  healthy: 'Everything works.',
  unhealthy: (errors: number, warnings: number) =>
    [
      ...(errors > 0 ? [`${many(errors, 'thing')} ${errors === 1 ? 'does' : 'do'} not work`] : []),
      ...(warnings > 0 ? [many(warnings, 'warning')] : []),
    ].join(', ') + '.',
  agentsReady: (ready: number, all: number) => `${ready.toLocaleString('en')} of ${many(all, 'agent')} ready`,
  networksReady: (ready: number, all: number) => `${ready} of ${many(all, 'network')} ready`,
  findings: 'What asks for attention',
  all: (count: number) => `Show all ${count.toLocaleString('en')}`,
  fewer: 'Show fewer',
  moreFindings: (left: number) => `and ${left} more: kubectl overlay status`,
  loading: 'Loading…',
  problem: (why: string) => `The operator does not answer this: ${why}`,

  name: 'Name',
  state: 'State',
  subnets: 'Subnets',
  nodes: 'Nodes ready',
  fill: 'Blocks in use',
  isolation: 'Isolation',
  age: 'Age',
  conditionReason: 'Reason',
  message: 'Message',
  condition: 'Condition',
  since: 'Since',
  of: (part: number, all: number) => `${part.toLocaleString('en')} of ${all.toLocaleString('en')}`,
  bar: (held: number, resting: number, free: number) =>
    `${many(held, 'block')} held, ${resting} at rest, ${free.toLocaleString('en')} free`,
  noNetworks: 'There are no networks yet.',
  unknownNetwork: (name: string) => `There is no network ${name}.`,
  unknownAgent: (name: string) => `There is no node ${name}.`,

  conditions: 'Conditions',
  containerizers: 'Containers of',
  open: 'Open: it refuses no network.',
  isolated: 'Isolated',
  talksWith: 'Connections to and from',
  allowed: 'allowed',
  denied: 'denied',
  graph: (name: string, allowed: string[], denied: string[]) =>
    `${name} talks with ${allowed.join(', ') || 'no other network'}; not with ${denied.join(', ') || 'none'}`,
  agentsOf: 'Nodes with this network',
  blocks: 'Blocks',
  block: 'Block',
  space: 'Address space',
  spaceOf: (cidr: string) => `Address space ${cidr}`,
  spaceHelp:
    'Each cell is a block. Arrow keys move, Enter or + goes in, Escape or − goes out. The table has the same.',
  cell: (cidr: string, state: string, node: string) => `${cidr}: ${state}${node === '' ? '' : `, ${node}`}`,
  shown: (cidr: string, count: number) => `${cidr}, ${many(count, 'block')}`,
  zoomIn: 'Zoom in',
  zoomOut: 'Zoom out',
  whole: 'All',
  says: 'The agent says',

  node: 'Node',
  agentsSearch: 'Search by name, state, network, address or MAC',
  list: 'List',
  grid: 'Grid',
  addresses: 'Addresses',
  vtep: 'Tunnel end (VTEP)',
  noVTEP: 'none yet',
  noContainers: 'No containers.',
  noRows: 'Nothing found.',
  summary: (count: number, state: string) => `${count.toLocaleString('en')} ${state}`,

  search: 'Search',
  containersSearch: 'Search by address, prefix, name, node or MAC',
  network: 'Network',
  allNetworks: 'All networks',
  address: 'Address',
  container: 'Container',
  mac: 'MAC',
  kernel: 'Kernel',
  runtime: 'Runtime',
  joined: 'Joined',
  found: (count: number) => many(count, 'container'),
  copy: (what: string) => `Copy ${what}`,
  copied: 'Copied',
  download: 'Save as CSV',
  sorting: 'Loading all rows to sort them…',
  sortBy: (column: string) => `Sort by ${column}`,
  tooMany: (count: number) =>
    `${count.toLocaleString('en')} rows are loaded: changes are not shown by themselves.`,
  refresh: 'Refresh',
  unanswered: (count: number) =>
    `The agents of ${many(count, 'node')} did not answer, so containers may be missing:`,
  noRight:
    'This token may not see containers. Use one of overlaynet-inspector: kubectl create token -n overlaynet-system overlaynet-inspector',

  states: {} as Record<string, string>,
};

export type Texts = typeof english;
