import { apiVersion, type OverlayNetwork } from '../../src/api/types.ts';
import { overlayNetworks } from '../../src/kube/resources.ts';
import { network, shellTexts, subnet } from '../support/manifests.ts';
import { apiServerWithCRDs, refuses, type Case } from '../support/refuses.ts';

const plane = apiServerWithCRDs();

describe("a network's subnets", () => {
  const going = (cidr: string, state?: string) =>
    subnet(cidr, 24, { ...(state && { state }), removeWhenDrained: true });
  const rule = ['spec.subnets', 'must keep an entry that is not both Draining and removeWhenDrained'];
  refuses(plane, [
    [
      'that all go by themselves',
      network({ subnets: [going('9.0.0.0/8', 'Draining'), going('10.0.0.0/8', 'Draining')] }),
      rule,
    ],
    [
      'whose removeWhenDrained is no truth',
      network({ subnets: [subnet('9.0.0.0/8', 24, { removeWhenDrained: 'yes' })] }),
      ['spec.subnets[0].removeWhenDrained', 'boolean'],
    ],
  ]);
  test('may be removed if another one stays', async () => {
    const subnets = [going('9.0.0.0/8', 'Draining'), going('10.0.0.0/8')];
    await plane().client.create(overlayNetworks, {
      apiVersion,
      ...network({ subnets }, 'goes'),
    } as OverlayNetwork);
  });
});

describe('a network', () => {
  const many = Array.from({ length: 9 }, (_, i) => subnet(`10.${i}.0.0/16`, 24));
  refuses(plane, [
    ['without the field subnets', network({ subnets: undefined }), ['spec.subnets', 'Required']],
    ['without spec', { kind: 'OverlayNetwork', metadata: { name: 'ovt-net' } }, ['spec', 'Required']],
    ['with nine subnets', network({ subnets: many }), ['spec.subnets', 'at most 8 items']],
    [
      'with an unknown state',
      network({ subnets: [subnet('9.0.0.0/8', 24, { state: 'Gone' })] }),
      ['spec.subnets[0].state', '"Gone"', '"Active", "Draining"'],
    ],
    ['without containerizers', network({ containerizers: [] }), ['spec.containerizers', 'at least 1 item']],
    [
      'with an unknown containerizer',
      network({ containerizers: ['LXC'] }),
      ['spec.containerizers[0]', '"LXC"', '"CNI", "Docker"'],
    ],
    [
      'with one containerizer twice',
      network({ containerizers: ['CNI', 'CNI'] }),
      ['spec.containerizers[1]', 'Duplicate value', '"CNI"'],
    ],
    [
      'with an unknown isolation',
      network({ isolation: { mode: 'Shut' } }),
      ['spec.isolation.mode', '"Shut"', '"Open", "Isolated"'],
    ],
    [
      'with a selector without values',
      network({ nodeSelector: { matchExpressions: [{ key: 'zone', operator: 'In' }] } }),
      ['spec.nodeSelector.matchExpressions[0]', '"zone In"', 'values'],
    ],
    ...shellTexts.flatMap((text): Case[] => [
      [
        `that allows ${JSON.stringify(text)}`,
        network({ isolation: { mode: 'Isolated', allow: [text] } }),
        ['spec.isolation.allow[0]', 'should match'],
      ],
      [
        `that selects nodes by ${JSON.stringify(text)}`,
        network({ nodeSelector: { matchLabels: { zone: text } } }),
        ['spec.nodeSelector.matchLabels.zone', 'should match'],
      ],
    ]),
  ]);
});
