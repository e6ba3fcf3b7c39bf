import type { BlockState } from '../../../src/api/types.ts';
import { handAnnotation } from '../../chaos/allocation/hands.ts';
import { atRest, Judge } from '../../chaos/allocation/judge.ts';

/** Builds a history change by change, and returns the judge's findings. */
class Told {
  readonly #judge = new Judge();
  #revision = 0;

  constructor() {
    const spaces = [{ cidr: '9.0.0.0/8', prefix: 24, network: 'dcos', networkUID: 'u', pages: [0] }];
    this.change('allocationledgers/spaces', { spec: { index: { nextPage: 1, spaces } } });
  }

  change(name: string, object: { metadata?: object; spec: object } | undefined): this {
    const revision = ++this.#revision;
    const key = `/registry/overlaynet.dev/${name}`;
    this.#judge.take({
      revision,
      key,
      object: object && { metadata: {}, ...object },
      deleted: object === undefined,
    });
    return this;
  }

  /** The page's blocks as `node state`, the first being 9.0.0.0/24. */
  page(blocks: string[], byHand?: string): this {
    const entries = blocks.map((block, index) => {
      const [node = '', state = ''] = block.split(' ');
      return { index, node, uid: 'u', state: state as BlockState, since: '' };
    });
    const page = { space: '9.0.0.0/8', first: 0, blocks: entries.filter(({ node }) => node !== '') };
    const metadata = byHand === undefined ? {} : { annotations: { [handAnnotation]: byHand } };
    return this.change('allocationledgers/net-dcos-0', { metadata, spec: { page } });
  }

  shows(node: string, ...cidrs: string[]): this {
    const networks = [{ name: 'dcos', subnets: cidrs.map((cidr) => ({ cidr })) }];
    return this.change(`agentallocations/${node}`, { spec: { networks } });
  }

  uses(node: string, ...subnets: string[]): this {
    return this.change(`overlayagents/${node}`, { spec: { networks: [{ name: 'dcos', subnets }] } });
  }

  rest(): this {
    this.#judge.take({
      revision: ++this.#revision,
      key: '/registry/ovt-mark',
      object: atRest,
      deleted: false,
    });
    return this;
  }

  get rules(): string[] {
    return this.#judge.violations.map(({ rule }) => rule);
  }
}

const given = () => new Told().page(['node1 Held']).shows('node1', '9.0.0.0/24').uses('node1', '9.0.0.0/24');

test('a block that is given, withdrawn, rested and given to another breaks no rule', () => {
  const told = given()
    .page(['node1 Releasing'])
    .shows('node1')
    .page(['node1 Cooling'])
    .uses('node1')
    .page([])
    .page(['node2 Held'])
    .shows('node2', '9.0.0.0/24')
    .rest();
  expect(told.rules).toEqual([]);
});

test('blocks that overlap are found, also those of different lengths', () => {
  expect(given().page(['node1 Held', 'node2 Held']).shows('node2', '9.0.1.0/24').rules).toEqual([]);
  expect(given().shows('node2', '9.0.0.128/25').rules).toContain('overlap');
});

test('a block in an AgentAllocation that the ledger does not give to the node is found, whichever of the two changed', () => {
  expect(new Told().shows('node1', '9.0.0.0/24').rules).toEqual(['not its own']);
  expect(given().page(['node1 Cooling']).rules).toEqual(['not its own']);
});

test('a block that an agent reports in use must not be freed, if it reported it while the block was its own', () => {
  const withdrawn = () => given().page(['node1 Releasing']).shows('node1').page(['node1 Cooling']);
  expect(withdrawn().page([]).rules).toEqual(['freed in use']);
  expect(withdrawn().uses('node1').uses('node1', '9.0.0.0/24').page([]).rules).toEqual([]);
});

test('a page that a person deleted excuses its blocks until the cluster is at rest', () => {
  const lost = () => given().page(['node1 Held'], 'edit 1').change('allocationledgers/net-dcos-0', undefined);
  expect(lost().rules).toEqual([]);
  expect(lost().shows('node2', '9.0.0.0/24').rules).toEqual(['overlap', 'not its own']);
  expect(lost().rest().rules).toEqual(['not its own']);
  expect(lost().page(['node1 Held']).rest().rules).toEqual([]);
});

test('a page that an operator deleted excuses nothing', () => {
  expect(given().change('allocationledgers/net-dcos-0', undefined).rules).toEqual([
    'not its own',
    'freed in use',
  ]);
});

test('a VTEP that a page gives a node while spaces is gone by hand is its own; one that no page gives is not', () => {
  const config = { vtepSubnets: ['44.128.0.0/20'], vtepMACOUI: '70:B3:D5:00:00:00' };
  const vtepSpace = { cidr: 'vtep', prefix: 0, network: '', networkUID: '', pages: [0] };
  const told = new Told();
  const page = (...nodes: string[]) => ({
    spec: {
      page: {
        space: 'vtep',
        first: 0,
        blocks: nodes.map((node, index) => ({ index, node, uid: 'u', state: 'Held', since: '' })),
      },
    },
  });
  const vtep = (at: number) => ({
    spec: { vtep: { ip: `44.128.0.${at}/20`, mac: `70:b3:d5:80:00:0${at}` } },
  });
  const index = { spec: { index: { config, nextPage: 1, spaces: [vtepSpace] } } };
  const deletedByHand = { metadata: { annotations: { [handAnnotation]: 'by-hand' } }, ...index };
  told
    .change('allocationledgers/spaces', index)
    .change('allocationledgers/vtep-0', page('node1'))
    .change('agentallocations/node1', vtep(1))
    .change('allocationledgers/spaces', deletedByHand)
    .change('allocationledgers/spaces', undefined)
    .change('allocationledgers/vtep-0', page('node1', 'node2'))
    .change('agentallocations/node2', vtep(2));
  expect(told.rules).toEqual([]);
  told.change('agentallocations/node3', vtep(3));
  expect(told.rules).toEqual(['not its own', 'not its own']);
});

test('what an index that was rebuilt after a person deleted spaces does not list is excused', () => {
  const told = given();
  const index = { spec: { index: { nextPage: 1, spaces: [] } } };
  const byHand = { metadata: { annotations: { [handAnnotation]: 'by-hand' } }, ...index };
  const spaces = 'allocationledgers/spaces';
  told.change(spaces, byHand).change(spaces, undefined).change(spaces, index);
  expect(told.rules).toEqual([]);
  told.rest();
  expect(told.rules).toEqual(['not its own']);
});
