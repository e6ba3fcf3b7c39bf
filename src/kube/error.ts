/** The API server's description of a refusal: metav1.Status. */
export interface Status {
  code?: number;
  reason?: string;
  message?: string;
  details?: { retryAfterSeconds?: number };
}

/** The API server refused a request. A request without an answer is a plain Error with its `cause`. */
export class ApiError extends Error {
  /** HTTP status: 409 for a lost compare-and-swap, 410 for an expired watch or page. */
  readonly status: number;
  /** Kubernetes' reason: `Conflict`, `AlreadyExists`, `Expired`. */
  readonly reason: string;
  readonly retryAfterMs?: number;
  /** The verb with the resource and name: `update overlaynetworks/dcos`. */
  readonly command: string;

  constructor(request: string, status: number, { reason, message }: Status, retryAfterSeconds?: number) {
    super(`${request}: ${status} ${reason ?? ''}: ${message ?? 'no message'}`.replace(' :', ':'));
    this.name = 'ApiError';
    this.command = request;
    this.status = status;
    this.reason = reason ?? '';
    if (retryAfterSeconds !== undefined && Number.isFinite(retryAfterSeconds)) {
      this.retryAfterMs = retryAfterSeconds * 1000;
    }
  }
}

export const isGone = ({ status, reason }: ApiError): boolean => status === 404 && reason === 'NotFound';

/**
 * Whether the API server does not know the kind. Then no write of this kind can succeed, and missing objects mean
 * nothing.
 */
export const isMissingKind = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 404 && !isGone(error);

/** The kubeconfig gives no credentials: a file is missing, or a plugin fails. No request was sent. */
export class CredentialsError extends Error {
  override name = 'CredentialsError';
}

/** Makes an ApiError of a response that is not 2xx. `body` is a Status as JSON, or any text of a proxy in between. */
export const apiError = (
  request: string,
  code: number,
  retryAfter: string | undefined,
  body: string,
): ApiError => {
  let status: Status;
  try {
    status = JSON.parse(body) as Status;
  } catch {
    const unknown = code === 404 ? ' (the API server knows no such resource: is the CRD installed?)' : '';
    status = { message: body.trim().slice(0, 300) + unknown };
  }
  const seconds = retryAfter === undefined ? status.details?.retryAfterSeconds : Number(retryAfter);
  return new ApiError(request, code, status, seconds);
};
