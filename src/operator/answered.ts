import { QueryError, refusalOf } from '../rows/query.ts';
import { json, type Reply } from '../serve/http.ts';

/**
 * Answers a question: 200 with the result of `work`; 400 if the query is wrong; 503 while objects are still missing.
 * @param read parses the query; throws QueryError
 * @param missing why nothing is known yet; undefined once everything is
 */
export async function answered<Q>(
  read: () => Q,
  missing: () => string | undefined,
  work: (query: Q) => object | Promise<object>,
): Promise<Reply> {
  try {
    const query = read();
    const unknown = missing();
    if (unknown !== undefined) return json(503, { error: unknown });
    return json(200, await work(query));
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return json(400, refusalOf(error));
  }
}
