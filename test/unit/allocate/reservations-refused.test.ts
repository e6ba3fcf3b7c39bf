import type { OverlayReservationSpec } from '../../../src/api/types.ts';
import { cluster, findings, of, oldMAC, parts, reserve } from '../../support/reserving.ts';

describe('a reservation is refused', () => {
  const refusedWith = (spec: Partial<OverlayReservationSpec>) => {
    const one = cluster();
    one.join('node1', '172.17.0.2');
    one.settle();
    reserve(one, 'old', { nodeName: 'node9', ...spec });
    one.settle();
    return findings(one, 'old')[0];
  };
  const block = (cidr: string, name = 'dcos') => ({ networks: [{ name, subnets: [cidr] }] });

  test.each([
    [
      'of a block that a node holds',
      block('9.0.0.0/24'),
      'Held: 9.0.0.0/24 of network dcos is held by node node1',
    ],
    [
      'for a node that holds another',
      { ...block('9.0.5.0/24'), nodeName: 'node1' },
      'NodeHoldsAnother: 9.0.5.0/24 of network dcos: node node1 holds 9.0.0.0/24 already',
    ],
    [
      'outside the network',
      block('10.0.0.0/24'),
      'OutsideSubnet: 10.0.0.0/24 is in no subnet of network dcos that is in force',
    ],
    [
      'of another prefix',
      block('9.0.4.0/23'),
      'WrongPrefix: 9.0.4.0/23 is no block of 9.0.0.0/8, whose blocks are /24',
    ],
    [
      'of two blocks of one subnet',
      { networks: [{ name: 'dcos', subnets: ['9.0.4.0/24', '9.0.5.0/24'] }] },
      'SecondBlock: 9.0.5.0/24 is the second block of 9.0.0.0/8',
    ],
    [
      'of a VTEP outside',
      { vtep: { ip: '44.200.0.7/20', mac: oldMAC } },
      'OutsideSubnet: 44.200.0.7/20 is no VTEP of spec.vtepSubnets 44.128.0.0/20, fd01:a::/64 of OverlayConfig',
    ],
    [
      'of a VTEP with another length',
      { vtep: { ip: '44.128.0.7/16', mac: oldMAC } },
      'WrongPrefix: 44.128.0.7/16 must have the length of its subnet in spec.vtepSubnets 44.128.0.0/20, fd01:a::/64 of OverlayConfig',
    ],
    [
      'of a VTEP with two numbers',
      { vtep: { ip: '44.128.0.7/20', ip6: 'fd01:a::8/64', mac: oldMAC } },
      'Uneven: 44.128.0.7/20 is VTEP 7 of its subnet and fd01:a::8/64 VTEP 8; a node has one number',
    ],
    [
      'of a MAC that the operator gives another VTEP',
      { vtep: { ip: '44.128.0.7/20', mac: '70:b3:d5:80:00:09' } },
      'OthersMAC: 70:b3:d5:80:00:09 is the MAC of VTEP 9, which another node may get',
    ],
    ['that reserves nothing', {}, 'Invalid: spec: it reserves nothing; give vtep or networks, or exclusive'],
  ])('%s', (_what, spec, message) => {
    expect(refusedWith(spec)).toBe(`Accepted False ${message}`);
  });

  test('where an older one has the block, the node or the MAC', () => {
    const one = cluster();
    reserve(one, 'old', of(6, 'node1'));
    reserve(one, 'block', { nodeName: 'node2', networks: [{ name: 'dcos', subnets: ['9.0.6.0/24'] }] });
    reserve(one, 'node', { nodeName: 'node1', networks: [{ name: 'dcos', subnets: ['9.0.7.0/24'] }] });
    reserve(one, 'mac', { nodeName: 'node3', vtep: { ip: '44.128.0.9/20', mac: oldMAC } });
    one.settle();
    expect(findings(one, 'block')[0]).toBe(
      'Accepted False Reserved: 9.0.6.0/24 of network dcos is reserved by old, which is older',
    );
    expect(findings(one, 'node')[0]).toBe(
      'Accepted False NodeReserved: node node1 is bound to reservation old already',
    );
    expect(findings(one, 'mac')[0]).toBe(
      `Accepted False MACTaken: ${oldMAC} is the MAC of reservation old, which is older`,
    );
    expect(one.blocks()).toEqual(['vtep-0/6 node1 Reserved', 'net-dcos-1/6 node1 Reserved']);
  });

  test('in one part, and the other parts are kept', () => {
    const one = cluster();
    one.join('node1', '172.17.0.2');
    one.settle();
    reserve(one, 'old', of(0, 'node2', { vtep: { ip: '44.128.0.9/20', mac: oldMAC } }));
    one.join('node2', '172.17.0.3');
    one.settle();
    expect(parts(one, 'old')).toEqual(['Held', 'Refused Held']);
    expect(one.shown('node2')).toContain('9.0.1.0/24');
  });
});
