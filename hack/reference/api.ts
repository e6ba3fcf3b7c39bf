/** The part of JSON Schema that docs/reference/openapi.json uses. */
export interface Schema {
  type?: 'object' | 'array' | 'string' | 'integer' | 'number';
  description?: string;
  $ref?: string;
  enum?: string[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: false;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  default?: number;
}

interface Operation {
  summary: string;
  'x-role': string;
  'x-server': string;
  parameters: { name: string; description: string; schema: Schema }[];
  /** Of a POST. */
  requestBody?: { content: { 'application/json': { schema: Schema } } };
  responses: { '200': { content: { 'application/json': { schema: Schema } } } };
}

export interface OpenAPI {
  info: { description: string };
  paths: Record<string, { get: Operation; post?: never } | { post: Operation; get?: never }>;
  components: { schemas: Record<string, Schema> };
}

const nameOf = ({ $ref = '' }: Schema): string => $ref.replace(/.*\//, '');
const cell = (text: string): string => text.replaceAll('|', '\\|');
const table = (heads: string[], rows: string[][]): string =>
  [heads, heads.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');
const link = (name: string): string => `[${name}](#${name.toLowerCase()})`;

function typeText(schema: Schema): string {
  if (schema.$ref !== undefined) return link(nameOf(schema));
  if (schema.enum !== undefined) return schema.enum.map((one) => `\`${one}\``).join(', ');
  if (schema.type === 'array')
    return `list of ${schema.items?.type === 'object' ? 'objects' : typeText(schema.items ?? {})}`;
  return schema.type ?? '';
}

const ruleText = ({ pattern, minimum, maximum, minLength, maxLength, default: usual }: Schema): string =>
  [
    ...(pattern === undefined ? [] : [`\`${pattern}\``]),
    ...(minimum === undefined || maximum === undefined ? [] : [`${minimum} to ${maximum}`]),
    ...(minLength === undefined ? [] : [`at least ${minLength} character`]),
    ...(maxLength === undefined ? [] : [`at most ${maxLength} characters`]),
    ...(usual === undefined ? [] : [`default ${usual}`]),
  ].join('; ');

/** Rows for the fields of a schema and of the objects in it; those are named with dots: `agents.ready`. */
function fields(schema: Schema, prefix = ''): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, one]) => {
    const path = `${prefix}${name}`;
    const optional = schema.required?.includes(name) === true ? '' : ' (may be absent)';
    const inner = one.type === 'array' ? (one.items ?? {}) : one;
    return [
      [`\`${path}\``, typeText(one) + optional, one.description ?? ''],
      ...(inner.type === 'object' ? fields(inner, `${path}${one.type === 'array' ? '[]' : ''}.`) : []),
    ];
  });
}

function operationText(path: string, { get, post }: OpenAPI['paths'][string]): string {
  const operation = get ?? post;
  const answer = nameOf(operation.responses['200'].content['application/json'].schema);
  const body = operation.requestBody?.content['application/json'].schema;
  const parameters = operation.parameters.map(({ name, description, schema }) => [
    `\`${name}\``,
    description,
    ruleText(schema),
  ]);
  return [
    `## ${get === undefined ? 'POST' : 'GET'} ${path}`,
    operation.summary,
    `Served by the ${operation['x-server']}; needs the role \`${operation['x-role']}\`. Answers with a ${link(answer)}.`,
    ...(body === undefined ? [] : [table(['field of the body', 'type', 'what it says'], fields(body))]),
    ...(parameters.length === 0 ? [] : [table(['parameter', 'what it does', 'rule'], parameters)]),
  ].join('\n\n');
}

const head = (description: string): string => `# HTTP API

<!-- made of openapi.json by \`npm run reference\`: do not edit -->

${description} The schema is [openapi.json](openapi.json). \`kubectl overlay\` ([command.md](command.md)) reads the same.

\`\`\`sh
TOKEN=$(kubectl create token -n overlaynet-system overlaynet-viewer)
curl -sk -H "Authorization: Bearer $TOKEN" "https://NODE:9180/api/v1/networks?limit=10"
\`\`\`

Paths accept GET and HEAD; those that are listed with POST accept only POST, with a JSON body. Other methods get 405 with \`Allow\`, and an
unknown path gets 404. A parameter that is unknown, repeated or wrong gets 400; the answer names the parameter, its value and the rule. 401
and 403 say what is missing. An operator answers 503 until it has read all objects. Errors are an [Error](#error).`;

/** The stream's section, because OpenAPI schemas cannot describe a stream. */
const changes = `## GET /api/v1/changes

A stream of server-sent events that says when rows may have changed, but not what changed: \`data: \` and a number, at most once a second, and
a comment at least every ten seconds. It does not report changes of containers, which only agents know.

Served by the operator; needs the role \`overlaynet-viewer\` or \`overlaynet-inspector\`. An operator ends each stream after five minutes, so
that the token is checked again, and serves at most 200 at once (429 beyond).`;

/** The section about POST, because openapi.json describes only requests that read. */
const send = `## POST /api/v1/send

Sends a packet like one of the container’s, up to three times until it is answered. The answer is its [PacketPath](#packetpath), whose \`sent\`
says what happened to the packet. The body is a JSON object with the parameters of \`GET /api/v1/trace\`. The CNI plugin sends the packet from
a separate port on the container’s bridge, and the container gets the answer. Both nodes watch their links for two seconds. The sender must
be a CNI container (400).

Served by the operator; needs the role \`overlaynet-prober\`. Agents serve \`POST /overlay-agent/packet\` for it, to the operator only. A node
sends one packet at a time (429).`;

/** Returns the text of docs/reference/http.md. */
export function apiPage({ info, paths, components }: OpenAPI): string {
  const schemas = Object.entries(components.schemas).map(([name, schema]) =>
    [`## ${name}`, schema.description ?? '', table(['field', 'type', 'what it says'], fields(schema))].join(
      '\n\n',
    ),
  );
  const operations = Object.entries(paths).map(([path, item]) => operationText(path, item));
  return `${[head(info.description), ...operations, send, changes, ...schemas].join('\n\n')}\n`;
}
