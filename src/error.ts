/** The text of anything that was thrown. Errors of another realm (a worker, Jest's VM) are no `instanceof Error`. */
export function messageOf(error: unknown): string {
  const message = (error as { message?: unknown } | null | undefined)?.message;
  return typeof message === 'string' ? message : String(error);
}

/** What was thrown, as an Error. */
export const errorOf = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });

/** Whether a system call failed with that code: `ENOENT`. */
export const isErrno = (error: unknown, code: string): boolean =>
  (error as { code?: unknown } | null)?.code === code;
