import type { Condition, KubeObject } from '../../src/api/types.ts';
import type { Client } from '../../src/kube/client.ts';
import type { Resource } from '../../src/kube/resources.ts';
import { eventually } from './eventually.ts';

type WithConditions = KubeObject & { status?: { conditions?: Condition[] } };

/** An object, a type of its conditions, and the expected reason. */
export type Asked = [resource: Resource<KubeObject>, name: string, type: string, reason: string];

export async function conditionOf(
  client: Client,
  resource: Resource<KubeObject>,
  name: string,
  type: string,
): Promise<Condition | undefined> {
  const object = await client.get<WithConditions>(resource, name);
  return object?.status?.conditions?.find((each) => each.type === type);
}

/** Waits until the condition has that reason, and returns it. */
export const reasonIs = (
  client: Client,
  ...[resource, name, type, reason]: Asked
): Promise<Condition | undefined> =>
  eventually(
    () => conditionOf(client, resource, name, type),
    (found) => found?.reason === reason,
    { seconds: 60 },
  );
