import { ApiError, CredentialsError } from '../kube/error.ts';
import { messageOf } from '../error.ts';
import { remedyOf } from './missingright.ts';

/** Thrown when a command fails: what failed, and what the user can do next. */
export class CommandFailure extends Error {
  override name = 'CommandFailure';
  readonly next: string;

  constructor(message: string, next: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.next = next;
  }
}

/** The failure for an error between the command and the API server, with advice. */
export function apiFailure(error: unknown, server: string, namespace: string): CommandFailure {
  if (error instanceof CommandFailure) return error;
  const message = messageOf(error);
  const credentials = credentialsError(error);
  if (credentials !== undefined)
    return new CommandFailure(
      credentials.message,
      'log in as for kubectl, until `kubectl get ns` works; or choose another user with --context or --kubeconfig',
      error,
    );
  if (error instanceof ApiError && error.status === 401)
    return new CommandFailure(
      `the API server ${server} does not know you: ${message}`,
      'your token or certificate has expired, or is of another cluster: log in again, and try `kubectl get ns`; or choose another with --context',
      error,
    );
  if (error instanceof ApiError && error.status === 403)
    return new CommandFailure(`you lack a right: ${message}`, remedyOf(message, namespace), error);
  if (error instanceof ApiError && error.status === 404)
    return new CommandFailure(
      message,
      `is overlaynet installed in namespace ${namespace}? kubectl apply -k deploy; or name another with --system-namespace`,
      error,
    );
  if (error instanceof ApiError)
    return new CommandFailure(
      `the API server ${server} refuses: ${message}`,
      'try again in a moment; `kubectl get --raw /readyz` says how it is',
      error,
    );
  return new CommandFailure(
    `the API server ${server} cannot be reached: ${message}`,
    'check the address in your kubeconfig and the way to it with `kubectl cluster-info`; or choose another with --context or --kubeconfig',
    error,
  );
}

/** The error of the credentials because of which a request could not be sent. */
function credentialsError(error: unknown): CredentialsError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof CredentialsError) return at;
  return undefined;
}

/**
 * The failure for an operator's answer that is not 200.
 * @param path without its query
 */
export function operatorFailure(status: number, body: string, path: string, version: string): CommandFailure {
  const words = wordsIn(body);
  switch (status) {
    case 400:
      return new CommandFailure(
        `the operator does not take that: ${words}`,
        'correct the flag that it names, or do what it says',
      );
    case 401:
      return new CommandFailure(
        `the operator does not take the token: ${words}`,
        'it has expired, or is of another cluster: leave --token out, or make one with kubectl create token -n overlaynet-system overlaynet-viewer',
      );
    case 403:
      return new CommandFailure(
        `you lack a right: ${words}`,
        /\/(send|probe)$/.test(path)
          ? 'use a token of overlaynet-prober, which may have packets sent: leave out --token and --service-account'
          : /\/(containers|kernel|trace|peers)$/.test(path)
            ? 'use a token of overlaynet-inspector, which may see containers and kernels: leave out --token and --service-account, or bind that ClusterRole'
            : 'use a token of overlaynet-viewer: leave out --token and --service-account, or bind that ClusterRole',
      );
    case 404:
      return new CommandFailure(
        `the operator has no ${path}: it is of another version than this command, which is ${version}`,
        'update the operator, or take the kubectl-overlay of its release',
      );
    case 429:
      return new CommandFailure(`the operator has too much to do: ${words}`, 'try again in a moment');
    case 502:
      return new CommandFailure(
        words,
        'does that agent run? kubectl get pods -n overlaynet-system -o wide -l app.kubernetes.io/name=overlaynet-agent',
      );
    case 503:
      return new CommandFailure(
        `the operator cannot tell yet: ${words}`,
        'it has just started, or cannot reach the API server: try again in a moment, or look at kubectl logs -n overlaynet-system deploy/overlaynet-operator',
      );
    default:
      return new CommandFailure(
        `the operator answers ${status}: ${words}`,
        'look at kubectl logs -n overlaynet-system deploy/overlaynet-operator; is it an operator that --server names?',
      );
  }
}

function wordsIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    if (typeof error === 'string') return error;
  } catch {
    // then as it is
  }
  return body.trim().slice(0, 200);
}
