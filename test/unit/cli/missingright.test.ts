import { remedyOf } from '../../../src/cli/missingright.ts';

// The words of an API server, Kubernetes 1.34.
const refused = (what: string, verb: string, resource: string, group: string, where: string): string =>
  `${what}: 403 Forbidden: ${resource} is forbidden: User "alice" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`;
const cluster = 'at the cluster scope';
const system = 'in the namespace "overlaynet-system"';

test.each([
  [
    'list pods',
    'list',
    'pods',
    '',
    system,
    'rolebinding -n overlaynet-system NAME --clusterrole=overlaynet-command',
  ],
  [
    'create pods/portforward',
    'create',
    'pods/portforward',
    '',
    system,
    'rolebinding -n overlaynet-system NAME --clusterrole=overlaynet-command',
  ],
  [
    'list overlaynetworks',
    'list',
    'overlaynetworks',
    'overlaynet.dev',
    cluster,
    'clusterrolebinding NAME --clusterrole=overlaynet-view',
  ],
])('a right that a role of ours gives is had by that role: %s', (what, verb, resource, group, where, how) => {
  const said = remedyOf(refused(what, verb, resource, group, where), 'overlaynet-system');
  expect(said).toContain(`an administrator gives it: kubectl create ${how} --user=YOU`);
});

test.each([
  [
    'list nodes',
    'list',
    'nodes',
    '',
    cluster,
    '--verb=list --resource=nodes, and kubectl create clusterrolebinding NAME --clusterrole=NAME',
  ],
  // in every namespace, which a binding in one does not give
  [
    'list pods',
    'list',
    'pods',
    '',
    cluster,
    '--verb=list --resource=pods, and kubectl create clusterrolebinding NAME --clusterrole=NAME',
  ],
  [
    'list networkpolicies',
    'list',
    'networkpolicies',
    'networking.k8s.io',
    cluster,
    '--verb=list --resource=networkpolicies.networking.k8s.io, and kubectl create clusterrolebinding',
  ],
  [
    'log of agent-x/agent',
    'get',
    'pods/log',
    '',
    system,
    '--verb=get --resource=pods/log, and kubectl create rolebinding -n overlaynet-system NAME --clusterrole=NAME',
  ],
  [
    'get pods/web',
    'get',
    'pods',
    '',
    'in the namespace "shop"',
    '--verb=get --resource=pods, and kubectl create rolebinding -n shop NAME',
  ],
  [
    'delete overlaynetworks/dcos',
    'delete',
    'overlaynetworks',
    'overlaynet.dev',
    cluster,
    '--verb=delete --resource=overlaynetworks.overlaynet.dev, and',
  ],
])('a right that no role of ours gives is named by itself: %s', (what, verb, resource, group, where, how) => {
  const said = remedyOf(refused(what, verb, resource, group, where), 'overlaynet-system');
  expect(said).toContain(`kubectl create clusterrole NAME ${how}`);
  expect(said).not.toContain('overlaynet-command');
});

test('the token of a prober has a role of its own', () => {
  const said = remedyOf(
    `create token: 403 Forbidden: serviceaccounts "overlaynet-prober" is forbidden: User "alice" cannot create resource "serviceaccounts/token" in API group "" ${system}`,
    'overlaynet-system',
  );
  expect(said).toContain('--clusterrole=overlaynet-prober-token');
});

test('a refusal in other words, of a webhook for one, is answered with what the command needs at least', () => {
  expect(remedyOf('list pods: 403: no', 'net')).toContain(
    'rolebinding -n net NAME --clusterrole=overlaynet-command',
  );
});
