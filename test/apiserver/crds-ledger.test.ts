import { allocation, block, ledger, page, shellTexts } from '../support/manifests.ts';
import { apiServerWithCRDs, refuses, type Case } from '../support/refuses.ts';

const plane = apiServerWithCRDs();

describe('an AgentAllocation', () => {
  const networks = [{ name: 'dcos', subnets: [{ cidr: '9.0.1.0/24' }] }];
  const late = ['spec', 'vtep and networks must be absent when an AgentAllocation is created'];
  refuses(plane, [
    ['created with a VTEP', allocation({ vtep: { ip: '44.128.0.2/20', mac: '70:b3:d5:80:00:02' } }), late],
    ['created with blocks', allocation({ networks }), late],
    [
      'of a negative revision',
      allocation({ revision: -1 }),
      ['spec.revision', '-1', 'greater than or equal to 0'],
    ],
    ['without a Node', allocation({ nodeUID: '' }), ['spec.nodeUID', 'at least 1 char']],
    [
      'of a Node with a strange uid',
      allocation({ nodeUID: 'a b' }),
      ['spec.nodeUID', '"a b"', 'should match'],
    ],
    [
      'at no address',
      allocation({ addresses: ['172.17.0'] }),
      ['spec.addresses[0]', '"172.17.0"', 'not an IP'],
    ],
  ]);
});

describe('an AllocationLedger', () => {
  const index = { nextPage: 0, spaces: [] };
  const space = (more: Record<string, unknown>) =>
    ledger('spaces', {
      index: {
        nextPage: 1,
        spaces: [
          { cidr: '9.0.0.0/8', prefix: 24, network: 'dcos', networkUID: 'c0ffee', pages: [0], ...more },
        ],
      },
    });
  const pinned = (...vtepSubnets: string[]) => {
    const config = { vtepSubnets, vtepMACOUI: '70:B3:D5:00:00:00', vni: 1024, port: 64000, underlay: 'IPv4' };
    return ledger('spaces', { index: { ...index, config } });
  };
  const inSpace = 'spec.index.spaces[0]';
  refuses(plane, [
    ['with neither index nor page', ledger('vtep-0', {}), ['spec', 'exactly one of index and page']],
    ['with both', ledger('spaces', { index, page: page() }), ['spec', 'exactly one of index and page']],
    ['spaces with a page', ledger('spaces', { page: page() }), ['metadata.name', '"spaces"', 'spec.index']],
    ['a page with an index', ledger('net-dcos-0', { index }), ['metadata.name', '"net-dcos-0"', 'alone']],
    [
      'a page by another name',
      ledger('dcos-0', { page: page() }),
      ['metadata.name', '"dcos-0"', 'vtep-N or net-NETWORK-N'],
    ],
    [
      'a page from block 100',
      ledger('net-dcos-0', { page: page({ first: 100 }) }),
      ['spec.page.first', '100', 'multiple of 256'],
    ],
    [
      'a page created with a block',
      ledger('net-dcos-0', { page: page({ blocks: [block(300)] }) }),
      ['spec.page.blocks', 'must be empty when a page is created'],
    ],
    [
      'a block of another page',
      ledger('net-dcos-0', { page: page({ blocks: [block(7), block(300)] }) }),
      ['spec.page.blocks', '[7]', 'from first (256) to 511'],
    ],
    [
      'a block twice',
      ledger('net-dcos-0', { page: page({ blocks: [block(300), block(300)] }) }),
      ['spec.page.blocks[1]', 'Duplicate value', '300'],
    ],
    [
      'a block in no state',
      ledger('net-dcos-0', { page: page({ blocks: [block(300, { state: 'Lost' })] }) }),
      ['spec.page.blocks[0].state', '"Lost"', '"Held"'],
    ],
    [
      'a block since no time',
      ledger('net-dcos-0', { page: page({ blocks: [block(300, { since: 'noon' })] }) }),
      ['spec.page.blocks[0].since', '"noon"', 'date-time'],
    ],
    [
      'a page of no space',
      ledger('net-dcos-0', { page: page({ space: '9.0.0.0/33' }) }),
      ['spec.page.space', '"9.0.0.0/33"', 'neither vtep nor a CIDR'],
    ],
    [
      'a page of a space with host bits',
      ledger('net-dcos-0', { page: page({ space: '9.0.0.1/8' }) }),
      ['spec.page.space', '"9.0.0.1/8"', 'without host bits'],
    ],
    [
      'a space that is no CIDR',
      space({ cidr: '9.0.0.0/33' }),
      [`${inSpace}.cidr`, '"9.0.0.0/33"', 'neither vtep nor a CIDR'],
    ],
    [
      'a space with host bits',
      space({ cidr: '9.0.0.1/8' }),
      [`${inSpace}.cidr`, '"9.0.0.1/8"', 'without host bits'],
    ],
    [
      'a space that is not canonical',
      space({ cidr: 'fd01:0:0::/64', prefix: 80 }),
      [`${inSpace}.cidr`, '"fd01:0:0::/64"', 'canonical form'],
    ],
    [
      'a space of blocks as long as itself',
      space({ prefix: 8 }),
      [`${inSpace}.prefix`, '8 of 9.0.0.0/8', "longer than the cidr's own 8"],
    ],
    [
      'a space of more blocks than there can be',
      space({ prefix: 29 }),
      [`${inSpace}.prefix`, '29 of 9.0.0.0/8', 'at most 20 longer'],
    ],
    [
      'a space of IPv4 blocks of /31',
      space({ cidr: '9.0.0.0/16', prefix: 31 }),
      [`${inSpace}.prefix`, '31 of 9.0.0.0/16', 'at most 30'],
    ],
    [
      'a VTEP space that is cut',
      space({ cidr: 'vtep', network: '', networkUID: '', prefix: 24 }),
      [`${inSpace}.prefix`, '24 of vtep', 'must be 0'],
    ],
    [
      'a VTEP space of a network',
      space({ cidr: 'vtep', prefix: 0 }),
      [`${inSpace}.network`, '"dcos" of vtep', 'must be empty'],
    ],
    [
      'a subnet of no network',
      space({ network: '' }),
      [`${inSpace}.network`, '"" of 9.0.0.0/8', 'must be empty for vtep, and for no other'],
    ],
    [
      'a pinned VTEP subnet that is no CIDR',
      pinned('44.128.0.0/33'),
      ['spec.index.config.vtepSubnets[0]', '"44.128.0.0/33"', 'not a CIDR'],
    ],
    [
      'a pinned VTEP subnet with host bits',
      pinned('44.128.0.1/20'),
      ['spec.index.config.vtepSubnets[0]', '"44.128.0.1/20"', 'without host bits'],
    ],
    [
      'a pinned VTEP subnet of /31',
      pinned('44.128.0.0/31'),
      ['spec.index.config.vtepSubnets[0]', '"44.128.0.0/31"', '8 to 30'],
    ],
    [
      'two pinned VTEP subnets of one family',
      pinned('44.128.0.0/20', '45.128.0.0/20'),
      ['spec.index.config.vtepSubnets', '[44.128.0.0/20, 45.128.0.0/20]', 'at most one of each family'],
    ],
    ...shellTexts.map((text): Case => [
      `a block of ${JSON.stringify(text)}`,
      ledger('net-dcos-0', { page: page({ blocks: [block(300, { node: text })] }) }),
      ['spec.page.blocks[0].node', 'should match'],
    ]),
  ]);
});
