/** The text of anything that was thrown. Errors of another realm (a worker, Jest's VM) are no `instanceof Error`. */
export function messageOf(error: unknown): string {
  const message = (error as { message?: unknown } | null | undefined)?.message;
  return typeof message === 'string' ? message : String(error);
}

/** The thrown value, as an Error. */
export const errorOf = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });

/** Work that failed, with the command or request. */
export class WorkError extends Error {
  override name = 'WorkError';
  /** A command line, or the verb with the resource and name: `update overlaynetworks/dcos`. */
  readonly command: string;

  constructor(command: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.command = command;
  }
}

/** What was run or asked when this was thrown, where the error says it (WorkError, ApiError, CommandError), or its cause. */
export function commandOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { command, cause } = error as { command?: unknown; cause?: unknown };
  return typeof command === 'string' ? command : commandOf(cause);
}

/** Whether a system call failed with that code: `ENOENT`. */
export const isErrno = (error: unknown, code: string): boolean =>
  (error as { code?: unknown } | null)?.code === code;
