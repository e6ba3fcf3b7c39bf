/** As much of JSON Schema as docs/reference/openapi.json uses. */
export interface Schema {
  type?: 'object' | 'array' | 'string' | 'integer';
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
  responses: { '200': { content: { 'application/json': { schema: Schema } } } };
}

export interface OpenAPI {
  info: { description: string };
  paths: Record<string, { get: Operation }>;
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

/** Its fields and those of objects in it, one row each: `agents.ready`. */
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

function operationText(path: string, { get }: { get: Operation }): string {
  const answer = nameOf(get.responses['200'].content['application/json'].schema);
  const parameters = get.parameters.map(({ name, description, schema }) => [
    `\`${name}\``,
    description,
    ruleText(schema),
  ]);
  return [
    `## GET ${path}`,
    get.summary,
    `Served by the ${get['x-server']}; needs the role \`${get['x-role']}\`. Answers with a ${link(answer)}.`,
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

GET and HEAD alone (405 otherwise, with \`Allow\`); an unknown path is 404, a parameter that is unknown, twice there or wrong is 400 and names
itself, its value and the rule. 401 and 403 say what is missing. 503 comes until the operator has seen all objects. Errors are an
[Error](#error).`;

/** A stream is not what openapi.json's schemas describe. */
const changes = `## GET /api/v1/changes

Tells that rows have changed, as server-sent events: \`data: \` and a number whenever another answer may have become different, at most one a
second, and a comment at least every ten seconds. What changed is not said. Changes of containers are not told: only agents know them.

Served by the operator; needs the role \`overlaynet-viewer\` or \`overlaynet-inspector\`. An operator ends each stream after five minutes, so
that the token is looked at anew, and serves at most 200 at once (429 beyond).`;

/** docs/reference/http.md. */
export function apiPage({ info, paths, components }: OpenAPI): string {
  const schemas = Object.entries(components.schemas).map(([name, schema]) =>
    [`## ${name}`, schema.description ?? '', table(['field', 'type', 'what it says'], fields(schema))].join(
      '\n\n',
    ),
  );
  const operations = Object.entries(paths).map(([path, item]) => operationText(path, item));
  return `${[head(info.description), ...operations, changes, ...schemas].join('\n\n')}\n`;
}
