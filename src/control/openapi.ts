/**
 * The control API described for programs that write clients: OpenAPI 3.1, made from the table of routes and the schemas of its answers. What is
 * not in the table is not served, and what is in it is described.
 */
import type { Fields } from './fields.js';
import { DATA_OPTIONS, LETTER_OPTIONS, LETTER_TYPE } from './letter.js';
import { PROBLEM_TYPE } from './problem.js';
import type { ControlRoute } from './route.js';
import { CONTROL_ROUTES } from './routes.js';
import type { JsonSchema } from './schema.js';
import { ANSWERS, COMPONENTS } from './schemas.js';

const ABOUT = `Everything that can be asked of a running agent: on its Unix socket without a key, and at \`control.http\` with the token.
Parameters stand in the query, also of requests that change something. Moments are epoch milliseconds, sizes octets. Errors are problem
documents (RFC 9457) with a stable \`code\`; all that is wrong with a request is in \`issues\`. Pages have \`next\`, which goes back as
\`after\`.`.replace(/\s+/g, ' ');

const PROBLEM = {
  description: 'What is wrong, as a problem document.',
  content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
};

export function describeApi(version: string): JsonSchema {
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const route of CONTROL_ROUTES) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    const methods = (paths[path] ??= {});
    const method = route.method.toLowerCase();
    methods[method] = operation(route, methods[method]);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Riata control API', version, description: ABOUT, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    components: {
      schemas: COMPONENTS,
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: '`control.token`, or a session made from it.' } },
    },
  };
}

/** `other`: what takes another type of content under the same path. One operation has both; its parameters are for the first. */
function operation(route: ControlRoute, other: JsonSchema | undefined): JsonSchema {
  const { verb, doc, path, takes } = route;
  const body =
    takes === undefined
      ? undefined
      : { [takes]: { schema: takes === LETTER_TYPE ? letter() : { type: 'string', contentEncoding: '8bit' } } };
  if (other !== undefined && body !== undefined) return { ...other, ...joined(route, other, body) };
  return {
    operationId: verb,
    summary: doc,
    parameters: [...pathParameters(path), ...queryParameters(route.query), ...headerParameters(route)],
    ...(body === undefined ? {} : { requestBody: { required: true, content: body } }),
    responses: { ...success(route), default: PROBLEM },
    ...(route.open ? { security: [] } : {}),
  };
}

function joined({ doc, query }: ControlRoute, other: JsonSchema, body: JsonSchema): JsonSchema {
  const { content } = other['requestBody'] as { content: JsonSchema };
  const parameters = other['parameters'] as readonly { readonly name: string; readonly in: string }[];
  return {
    summary: `${other['summary']} ${doc}`,
    // With the one type of content they must be there, with the other they must not.
    parameters: parameters.map((each) => (each.in === 'query' && !Object.hasOwn(query, each.name) ? { ...each, required: false } : each)),
    requestBody: { required: true, content: { ...content, ...body } },
  };
}

function letter(): JsonSchema {
  const file = {
    type: 'object',
    properties: {
      name: { type: 'string' },
      data: { type: 'string', contentEncoding: 'base64' },
      contentType: { type: 'string' },
      cid: { type: 'string' },
    },
    required: ['name', 'data'],
    additionalProperties: false,
  };
  const properties: Record<string, JsonSchema> = Object.fromEntries(
    LETTER_OPTIONS.map((name) => [name, { description: `as \`${name}\` of \`send\`` }]),
  );
  for (const name of DATA_OPTIONS) properties[name] = name === 'attachment' ? file : { type: 'array', items: file };
  return { type: 'object', properties, additionalProperties: false };
}

function success({ verb, method, gives, takes }: ControlRoute): JsonSchema {
  if (gives !== undefined) return { 200: { description: 'As asked.', content: { [gives]: { schema: { type: 'string' } } } } };
  const schema = ANSWERS[verb];
  if (schema === undefined) return { 204: { description: 'Done.' } };
  const created = method === 'POST' && takes !== undefined;
  return {
    [created ? 201 : 200]: {
      description: created ? 'It is safe on disk.' : 'As asked.',
      ...(created ? { headers: { location: { schema: { type: 'string' }, description: 'path of the message' } } } : {}),
      content: { 'application/json': { schema } },
    },
  };
}

function pathParameters(path: string): readonly JsonSchema[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
}

function queryParameters(fields: Fields): readonly JsonSchema[] {
  return Object.entries(fields).map(([name, { doc, schema, required }]) => ({ name, in: 'query', description: doc, required, schema }));
}

function headerParameters({ takes, gives }: ControlRoute): readonly JsonSchema[] {
  const header = (name: string, description: string) => ({ name, in: 'header', required: false, description, schema: { type: 'string' } });
  return [
    ...(takes === 'message/rfc822' || takes === LETTER_TYPE
      ? [header('Idempotency-Key', 'with the same key within a day nothing is stored, and the first answer is given again')]
      : []),
    ...(takes === undefined ? [] : [header('traceparent', 'what whoever hands it in is doing (W3C Trace Context); kept with the message')]),
    ...(gives === 'text/event-stream' ? [header('Last-Event-ID', 'id of the last event seen: goes on from there')] : []),
  ];
}
