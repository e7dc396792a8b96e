// Did every recorded exchange follow GitHub's OpenAPI description?
//
//     node check.mjs FILE-OR-FOLDER...
//
// Each line of a recording is one exchange: {method, path, query, request, status, contentType,
// response}. Path, query, request body and response body are checked by the operation that the
// path belongs to. What GitHub does and its description does not say is in exceptions.json, each
// with the page that says so. Exit code 1 on any violation, and when nothing was judged.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import Ajv from "ajv";
import addFormats from "ajv-formats";

const require = createRequire(import.meta.url);
const here = import.meta.dirname;
const packaged = dirname(require.resolve("@octokit/openapi/package.json"));
const description = JSON.parse(readFileSync(join(packaged, "generated/api.github.com.json"), "utf8"));
const exceptions = JSON.parse(readFileSync(join(here, "exceptions.json"), "utf8"));
const used = new Set();

// OpenAPI 3.0 says `nullable` where JSON Schema says `null`; and several of GitHub's `oneOf`
// overlap, so that one of them is asked for at least, not at most.
function toJsonSchema(node) {
  if (Array.isArray(node)) return node.map(toJsonSchema);
  if (node === null || typeof node !== "object") return node;
  const schema = {};
  for (const [name, value] of Object.entries(node)) {
    if (name === "example" || name === "examples" || name === "discriminator") continue;
    schema[name === "oneOf" && Array.isArray(value) ? "anyOf" : name] = toJsonSchema(value);
  }
  if (schema.nullable === true) {
    delete schema.nullable;
    return { anyOf: [{ type: "null" }, schema] };
  }
  return schema;
}

function newAjv(options) {
  const ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false, logger: false, ...options });
  addFormats(ajv);
  for (const name of ["repo.nwo", "timestamp", "binary", "int32", "int64", "uri-template"]) ajv.addFormat(name, true);
  return ajv;
}

const github = toJsonSchema(description);
const bodies = newAjv({});
bodies.addSchema(github, "github");
const queries = newAjv({ coerceTypes: true });
queries.addSchema(github, "github");

const compiled = new Map();
function validator(ajv, pointer) {
  const key = (ajv === queries ? "query " : "body ") + pointer.join(" ");
  if (!compiled.has(key)) {
    const escaped = pointer.map((part) => encodeURIComponent(String(part).replaceAll("~", "~0").replaceAll("/", "~1")));
    compiled.set(key, ajv.compile({ $ref: `github#/${escaped.join("/")}` }));
  }
  return compiled.get(key);
}

function resolve(node) {
  return node?.$ref ? node.$ref.slice(2).split("/").reduce((found, part) => found[part], github) : node;
}

const operations = Object.entries(github.paths).map(([template, item]) => {
  const parts = template.split(/(\{[^}]+\})/);
  const many = new Set(
    Object.values(item)
      .flatMap((operation) => operation?.parameters ?? [])
      .map(resolve)
      .filter((parameter) => parameter["x-multi-segment"])
      .map((parameter) => parameter.name),
  );
  const pattern = parts.map((part) => {
    if (!part.startsWith("{")) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return many.has(part.slice(1, -1)) ? "(.*)" : "([^/]+)";
  });
  const literal = parts.filter((part) => !part.startsWith("{")).join("").length;
  return { template, item, literal, pattern: new RegExp(`^${pattern.join("")}$`) };
});

// The most literal template wins: /issues/comments/1 is no issue.
function find(method, path) {
  const fitting = operations.filter(({ pattern, item }) => pattern.test(path) && item[method.toLowerCase()]);
  return fitting.sort((left, right) => right.literal - left.literal)[0];
}

const violations = new Map();
let judged = 0;
const seen = new Set();

function report(exchange, operation, where, message) {
  const known = exceptions.findIndex(
    (exception) =>
      (exception.operation === "*" || exception.operation === operation) &&
      (exception.status === undefined || new RegExp(`^(${exception.status})$`).test(exchange.status)) &&
      (exception.at === undefined || new RegExp(exception.at).test(`${where} ${message}`)),
  );
  if (known >= 0) {
    used.add(known);
    return;
  }
  const text = `${operation} ${exchange.status}: ${where} ${message}`;
  const entry = violations.get(text) ?? { times: 0, example: `${exchange.method} ${exchange.path}?${exchange.query}` };
  entry.times += 1;
  violations.set(text, entry);
}

function judge(exchange) {
  // Who asks for a renamed repository is sent on to it by its number, where all is as below its name.
  const path = exchange.path.replace(/^\/repositories\/\d+\b/, "/repos/owner/name") || "/";
  const found = find(exchange.method, path);
  if (!found) {
    report(exchange, `${exchange.method} ${path}`, "path", "is not in the description");
    return;
  }
  const method = exchange.method.toLowerCase();
  const operation = `${exchange.method} ${found.template}`;
  const said = found.item[method];
  seen.add(operation);
  judged += 1;

  const parameters = (said.parameters ?? []).map(resolve);
  const query = new URLSearchParams(exchange.query);
  for (const [name, text] of query) {
    const index = parameters.findIndex((parameter) => parameter.in === "query" && parameter.name === name);
    if (index < 0) {
      report(exchange, operation, `query ${name}`, "is not in the description");
      continue;
    }
    const raw = said.parameters[index];
    const pointer = raw.$ref ? raw.$ref.slice(2).split("/") : ["paths", found.template, method, "parameters", index];
    const validate = validator(queries, [...pointer, "schema"]);
    const holder = { value: text };
    if (!validate(text, { parentData: holder, parentDataProperty: "value" })) {
      report(exchange, operation, `query ${name}`, validate.errors[0].message);
    }
  }

  // Wrong requests are sent on purpose; their refusal is the answer to check.
  const accepted = exchange.status < 400;
  const wanted = said.requestBody?.content?.["application/json"];
  if (accepted && wanted && (exchange.request !== null || said.requestBody.required)) {
    check(exchange, operation, "request", exchange.request ?? {}, [
      "paths", found.template, method, "requestBody", "content", "application/json", "schema",
    ]);
  }
  if (accepted && wanted) {
    const known = fields(wanted.schema);
    const sent = Object.keys(Array.isArray(exchange.request) ? {} : (exchange.request ?? {}));
    for (const name of sent.filter((name) => known && !known.has(name))) {
      report(exchange, operation, `request/${name}`, "is not in the description");
    }
  }
  if (accepted && !wanted && exchange.request !== null) {
    report(exchange, operation, "request", "has a body, and the description knows none");
  }

  let pointer = ["paths", found.template, method, "responses", String(exchange.status)];
  let answer = said.responses[exchange.status];
  if (!answer) {
    report(exchange, operation, "status", "is not in the description");
    return;
  }
  if (answer.$ref) {
    pointer = answer.$ref.slice(2).split("/");
    answer = resolve(answer);
  }
  if (!exchange.contentType) {
    if (answer.content) report(exchange, operation, "response", "is empty, and the description has a body");
    return;
  }
  if (!exchange.contentType.startsWith("application/json")) return;
  const kind = ["application/json", "application/scim+json"].find((kind) => answer.content?.[kind]);
  if (!kind) {
    report(exchange, operation, "response", "has a body, and the description knows none");
    return;
  }
  check(exchange, operation, "response", exchange.response, [...pointer, "content", kind, "schema"]);
}

// The fields that a body may have; nothing where the description leaves it open.
function fields(schema) {
  const { properties, anyOf, allOf, $ref } = schema ?? {};
  if ($ref) return fields(resolve(schema));
  const parts = [...(anyOf ?? []), ...(allOf ?? [])].map(fields);
  if (!properties && parts.length === 0) return undefined;
  return new Set([...Object.keys(properties ?? {}), ...parts.flatMap((part) => [...(part ?? [])])]);
}

function check(exchange, operation, where, value, pointer) {
  const validate = validator(bodies, pointer);
  if (validate(value)) return;
  // That a choice failed says less than why its branches did.
  const detailed = validate.errors.filter((error) => error.keyword !== "anyOf");
  const errors = detailed.length > 0 ? detailed : validate.errors;
  for (const error of errors.slice(0, 12)) {
    const at = error.instancePath.replaceAll(/\/\d+/g, "/N");
    const more = error.params?.allowedValues ? ` ${JSON.stringify(error.params.allowedValues)}` : "";
    report(exchange, operation, `${where}${at}`, error.message + more);
  }
}

function files(path) {
  return statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => files(join(path, name))) : [path];
}

for (const file of process.argv.slice(2).flatMap(files)) {
  for (const line of readFileSync(file, "utf8").split("\n")) {
    // Where logs are fetched from is told by an answer, and is no address of the API.
    if (line && !/\/log-file(\?|$)/.test(JSON.parse(line).path)) judge(JSON.parse(line));
  }
}
for (const [text, { times, example }] of [...violations].sort()) {
  console.log(`${text}\n    ${times} times, such as ${example}`);
}
exceptions.forEach((exception, index) => {
  if (!used.has(index)) console.log(`exception ${index + 1} (${exception.operation}) was not needed here`);
});
console.log(
  `${judged} exchanges of ${seen.size} operations judged by GitHub's OpenAPI description ` +
    `(${description.info.version}): ${violations.size} violations, ${used.size} of ${exceptions.length} exceptions used`,
);
process.exit(violations.size > 0 || judged === 0 ? 1 : 0);
