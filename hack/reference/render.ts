import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** The page that is generated. */
export const page = new URL('../../docs/reference/api.md', import.meta.url);

/** The part of an OpenAPI schema that the page shows. */
interface Schema {
  type: string;
  description?: string;
  default?: unknown;
  enum?: string[];
  format?: string;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxLength?: number;
  required?: string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema;
  'x-kubernetes-validations'?: { message: string }[];
}

interface Column {
  name: string;
  jsonPath: string;
  description?: string;
  priority?: number;
}

interface Crd {
  spec: {
    group: string;
    names: { kind: string; plural: string; shortNames: string[] };
    versions: {
      name: string;
      additionalPrinterColumns: Column[];
      schema: { openAPIV3Schema: Schema };
    }[];
  };
}

/** Kinds in reading order: those that users write, then agents', then the operator's. */
const order = [
  'OverlayNetwork',
  'OverlayConfig',
  'OverlayReservation',
  'OverlayAgent',
  'AgentAllocation',
  'AllocationLedger',
];

const head = `# API reference

Every field of the six kinds. \`npm run reference\` generates this page from \`crds/\`: edit the descriptions there.
A unit test fails when the page differs from the CRDs.

All kinds are cluster-scoped, of the API version \`overlaynet.dev/v1alpha1\`. \`kubectl explain overlaynetwork.spec\` shows the same
text. [conditions.md](conditions.md) lists the conditions and their reasons, [annotations.md](annotations.md) the annotations and labels.
`;

/** Returns the page's text, before Prettier formats it. */
export function renderReference(): string {
  const crds = readCrds();
  const kinds = order.map((kind) => crds.find(({ spec }) => spec.names.kind === kind));
  if (kinds.length !== crds.length || kinds.includes(undefined))
    throw new Error(`hack/reference lists ${order.join(', ')}; crds/ has other kinds`);
  return [head, ...kinds.map((crd) => (crd === undefined ? '' : section(crd)))].join('\n');
}

function readCrds(): Crd[] {
  const directory = new URL('../../crds/', import.meta.url);
  return readdirSync(directory)
    .filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml')
    .map((file) => parse(readFileSync(new URL(file, directory), 'utf8')) as Crd);
}

function section({ spec }: Crd): string {
  const { kind, plural, shortNames } = spec.names;
  return spec.versions
    .map(({ additionalPrinterColumns: columns, schema: { openAPIV3Schema: schema } }) => {
      const { spec: fields, status } = schema.properties ?? {};
      return [
        `## ${kind}\n`,
        `${text(schema)}\n`,
        `\`kubectl get ${plural}\`, in short \`${shortNames.join('`, `')}\`.\n`,
        ...rulesOf(schema),
        `### ${kind}: columns of kubectl get\n`,
        ...columns.map(column),
        '',
        ...(fields === undefined ? [] : tree(kind, 'spec', fields)),
        ...(status === undefined ? [] : tree(kind, 'status', status)),
      ].join('\n');
    })
    .join('\n');
}

const column = ({ name, jsonPath, description, priority = 0 }: Column): string =>
  `- **${name}**: \`${jsonPath}\`${description === undefined ? '' : `, ${description}`}${priority > 0 ? ' (`-o wide`)' : ''}`;

/** List items for a field and all fields below it. */
function tree(kind: string, name: string, schema: Schema): string[] {
  return [`### ${kind}: ${name}\n`, `${text(schema)}\n`, ...rulesOf(schema), ...below(name, schema), ''];
}

function below(path: string, schema: Schema): string[] {
  const { properties = {}, required = [], items, additionalProperties } = schema;
  return [
    ...Object.entries(properties).flatMap(([name, property]) =>
      field(`${path}.${name}`, property, required.includes(name)),
    ),
    ...(items === undefined ? [] : element(`${path}[]`, items)),
    ...(additionalProperties === undefined ? [] : element(`${path}{}`, additionalProperties)),
  ];
}

const field = (path: string, schema: Schema, required = false): string[] => [
  `- **\`${path}\`** (${[typeOf(schema), ...(required ? ['required'] : []), ...limits(schema)].join(', ')}): ${text(schema)}`,
  ...messages(schema).map((message) => `  - Rule: ${message}.`),
  ...below(path, schema),
];

/** Items for the elements of a list or map; none for conditions. */
const element = (path: string, schema: Schema): string[] =>
  conditions.test(path) ? [] : field(path, schema);

/** All Kubernetes conditions have the same fields, which are not repeated for each kind. */
const conditions = /^status\.conditions\[\]/;

function typeOf({ type, format, items, enum: values }: Schema): string {
  if (items !== undefined) return `list of ${items.type === 'object' ? 'objects' : `${items.type}s`}`;
  if (values !== undefined) return values.map((value) => `\`${value}\``).join(' or ');
  return format === 'date-time' ? 'time' : type;
}

function limits(schema: Schema): string[] {
  const { minimum, maximum, minItems, maxItems, maxLength, default: preset } = schema;
  return [
    ...(minimum === undefined ? [] : [`from ${minimum}`]),
    ...(maximum === undefined ? [] : [`to ${maximum}`]),
    ...(minItems === undefined ? [] : [`at least ${minItems}`]),
    ...(maxItems === undefined ? [] : [`at most ${maxItems}`]),
    ...(maxLength === undefined ? [] : [`at most ${maxLength} characters`]),
    ...(preset === undefined ? [] : [`default \`${JSON.stringify(preset)}\``]),
  ];
}

const rulesOf = (schema: Schema): string[] => {
  const all = messages(schema);
  return all.length === 0 ? [] : ['Rules:\n', ...all.map((message) => `- ${message}.`), ''];
};

const messages = (schema: Schema): string[] =>
  (schema['x-kubernetes-validations'] ?? []).map(({ message }) => message.trim());

/** Escapes angle brackets, which Markdown would take for HTML. */
const text = ({ description = '' }: Schema): string =>
  description.trim().replace(/<([^>]+)>/g, (_, name: string) => name.toUpperCase());
